package fleet

import "strings"

// Size is what a flavor takes of a host.
type Size struct {
	VCPUs int `json:"vcpus"`
	RAM   int `json:"ram"`  // MiB
	Disk  int `json:"disk"` // GiB, root and ephemeral
	// Odd flavors count otherwise than by these numbers: bare metal, or whatever
	// else overrides its resources. Nothing is concluded from their size.
	Odd bool `json:"odd,omitempty"`
}

// atLeast reports whether s takes no less than o of anything.
func (s Size) atLeast(o Size) bool { return s.VCPUs >= o.VCPUs && s.RAM >= o.RAM && s.Disk >= o.Disk }

// odd reports whether extra specs override what a flavor takes.
func odd(specs map[string]string) bool {
	for key := range specs {
		if strings.HasPrefix(key, "resources") { // resources:VCPU, resources1:…, resources_SUFFIX:…
			return true
		}
	}
	return false
}

// Host is one hypervisor of a pod, in the pod's own numbers.
type Host struct {
	Name      string // of the host
	Up        bool   // and enabled
	VCPUs     int
	VCPUsUsed int
	RAM       int // MiB
	RAMUsed   int
	Disk      int // GiB
	DiskUsed  int
	BareMetal bool
}

// Capacity is what a pod has said of its hosts.
type Capacity struct{ Hosts []Host }

// Nova's own defaults for over-commit, the widest it had: a pod may be set
// tighter or wider, and does not tell. Beyond them a host is believed full.
const (
	overVCPUs = 16.0
	overRAM   = 1.5
	overDisk  = 1.0
)

// comparable reports whether the flavor can be held against the hosts. Pods that
// only speak microversions above 2.87 say that hosts are up, but no numbers.
func (c Candidate) comparable() bool {
	if c.Capacity == nil || c.Size == nil || c.Size.Odd || len(c.Capacity.Hosts) == 0 {
		return false
	}
	for _, h := range c.Capacity.Hosts {
		if h.BareMetal || h.VCPUs == 0 || h.RAM == 0 {
			return false
		}
	}
	return true
}

// holds reports whether the host, empty, is large enough. Disk is not compared:
// where it lies on shared storage, hosts report all kinds of numbers.
func (h Host) holds(s Size) bool {
	return h.Up && s.VCPUs <= h.VCPUs && s.RAM <= h.RAM
}

// hasRoom reports whether the host probably takes one more.
func (h Host) hasRoom(s Size, diskless bool) bool {
	fits := func(used, want, total int, ratio float64) bool { return float64(used+want) <= ratio*float64(total) }
	return h.holds(s) && fits(h.VCPUsUsed, s.VCPUs, h.VCPUs, overVCPUs) && fits(h.RAMUsed, s.RAM, h.RAM, overRAM) &&
		(diskless || h.Disk == 0 || fits(h.DiskUsed, s.Disk, h.Disk, overDisk))
}

// leastFree keeps a full pod in the game, should all be full.
const leastFree = 0.01

// free is the part of the memory of all hosts in use that is free.
func (c *Capacity) free() (part float64, known bool) {
	if c == nil {
		return 0, false
	}
	total, used := 0, 0
	for _, h := range c.Hosts {
		if h.Up && !h.BareMetal {
			total += h.RAM
			used += h.RAMUsed
		}
	}
	if total == 0 {
		return 0, false
	}
	return max(leastFree, 1-float64(used)/float64(total)), true
}
