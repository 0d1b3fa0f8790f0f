package podtest

import (
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/tricircle/tricircle/internal/pod/podtest/cinder"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/pod/podtest/neutron"
	"github.com/tricircle/tricircle/internal/pod/podtest/nova"
	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Pod is one cloud.
type Pod struct {
	Name    string
	Region  string
	Compute *nova.Server
	Network *neutron.Server
	Volume  *cinder.Server
	Image   *glance.Server

	mu     sync.Mutex // of all four services
	fronts map[string]*front
	faults *faults
	work   work
}

func (c *Cloud) startPod(name string, services map[string]string) (*Pod, error) {
	o := c.options
	p := &Pod{Name: name, Region: Region(name), fronts: map[string]*front{}, faults: &faults{}}
	host := name + "-node1"
	p.Network = neutron.New(neutron.Options{
		Mu: &p.mu, Auth: c.Keystone.Auth, AuthURL: c.AuthURL(), Now: o.Now, Host: host, Zone: o.Zone, DHCPAgents: o.DHCPAgents,
		Physical: map[string][2]int{"bridge": {101, 400}, "extern": {401, 500}}, After: p.background,
	})
	p.Image = glance.New(glance.Options{
		Mu: &p.mu, Auth: c.Keystone.Auth, AuthURL: c.AuthURL(), Now: o.Now, Methods: o.ImportMethods, After: p.background, Endpoint: c.imageEndpoint,
	})
	p.Volume = cinder.New(cinder.Options{Mu: &p.mu, Auth: c.Keystone.Auth, AuthURL: c.AuthURL(), Now: o.Now, Zone: o.Zone, Images: p.Image})
	highest := o.Microversion
	if n, ok := o.PodMicroversion[name]; ok {
		highest = n
	}
	p.Compute = nova.New(nova.Options{
		Mu: &p.mu, Auth: c.Keystone.Auth, AuthURL: c.AuthURL(), Now: o.Now, Host: host, Zone: o.Zone, Highest: highest,
		BuildGets: o.BuildGets, DeleteGets: o.DeleteGets, Network: p.Network, Images: p.Image, Volumes: p.Volume,
	})
	p.AddFlavor(nova.Flavor{ID: "1", Name: "m1.tiny", RAM: 64, VCPUs: 1, Disk: 1})
	p.AddFlavor(nova.Flavor{ID: "2", Name: "m1.small", RAM: 512, VCPUs: 1, Disk: 1})
	handlers := map[string]http.Handler{Compute: p.Compute, Network: p.Network, Volume: p.Volume, Image: p.Image}
	for _, service := range sortedKeys(handlers) {
		f, err := sharedFront(service, handlers[service], p.faults, c.quit)
		if err != nil {
			return nil, err
		}
		p.fronts[service] = f
	}
	c.Keystone.AddRegion(p.Region, RegionOne)
	for _, s := range catalog {
		url := c.AuthURL()
		if s.service != Identity {
			url = p.URL(s.service) + s.path
		}
		c.Keystone.AddEndpoint(services[s.kind], p.Region, url)
	}
	return p, nil
}

// imageEndpoint finds the Glance of a region.
func (c *Cloud) imageEndpoint(region string) (string, bool) {
	for _, p := range c.pods {
		if strings.EqualFold(p.Region, region) {
			return p.URL(Image), true
		}
	}
	return "", false
}

// background runs an agent's work after the reply that caused it.
func (p *Pod) background(do func()) {
	p.work.begin()
	go func() {
		defer p.work.end()
		do()
	}()
}

// Settle waits until the agents have done what they know of.
func (p *Pod) Settle() { p.work.wait() }

// work counts what runs in the background. A sync.WaitGroup forbids a first
// Add during Wait, which is what requests during a Close do.
type work struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when running is back at 0; nil while it is
}

func (w *work) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == 0 {
		w.idle = make(chan struct{})
	}
	w.running++
}

func (w *work) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running--; w.running == 0 {
		close(w.idle)
		w.idle = nil
	}
}

func (w *work) wait() {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// URL is where one of the pod's services listens, without a path.
func (p *Pod) URL(service string) string { return p.fronts[service].url() }

// Down makes the pod refuse connections, and cuts those that are open.
func (p *Pod) Down() {
	for _, f := range p.fronts {
		f.down()
	}
}

// Up takes Down back.
func (p *Pod) Up() {
	for _, f := range p.fronts {
		f.mustUp()
	}
}

// Fault makes the pod misbehave until it is removed.
func (p *Pod) Fault(f Fault) (remove func()) { return p.faults.add(f) }

// Calls lists the requests to the pod so far.
func (p *Pod) Calls() []Call { return p.faults.list() }

// ResetCalls forgets the requests so far.
func (p *Pod) ResetCalls() { p.faults.reset() }

// Inventory lists what is in the pod, by kind: IDs in order. Comparing two of
// them shows what was left behind. What OpenStack makes by itself for a project
// (the default group and the first rules of any group) is left out.
func (p *Pod) Inventory() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string][]string{}
	for _, part := range []map[string][]string{p.Compute.Inventory(), p.Network.Inventory(), p.Volume.Inventory(), p.Image.Inventory()} {
		maps.Copy(out, part)
	}
	return out
}

// GreedyDHCP makes the DHCP agents act within the request that makes them act:
// they always win the race against what comes next.
func (p *Pod) GreedyDHCP(on bool) { p.Network.SetGreedy(on) }

// SetCapacity limits how many servers fit: more go to ERROR, "No valid host was
// found". Negative: no limit.
func (p *Pod) SetCapacity(servers int) { p.Compute.SetCapacity(servers) }

// SetQuota limits how many servers each project may have: more are refused with
// 403.
func (p *Pod) SetQuota(servers int) { p.Compute.SetQuota(servers) }

// AddFlavor adds a flavor, public unless it says otherwise.
func (p *Pod) AddFlavor(f nova.Flavor) { p.Compute.AddFlavor(f) }

// AddImage adds an active image and returns its ID.
func (p *Pod) AddImage(i glance.Image) string { return p.Image.Add(i) }

// Objects lists the documents of one of Neutron's kinds (network, subnet, port,
// security_group, security_group_rule) as an admin sees them.
func (p *Pod) Objects(kind string) []rest.Doc { return p.Network.Objects(kind) }
