package topology

import (
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
)

// A subnet is cut into sixteen blocks, but none smaller than sixteen addresses. A
// pod has as many as its servers need: a route to each of them, not to each server.
const (
	blocksBits   = 4
	minBlockBits = 4
)

// BlockBits is the prefix length of the subnet's blocks; false: it is too small to
// be cut.
func (s *Subnet) BlockBits() (bits int, ok bool) {
	bits = min(s.CIDR.Bits()+blocksBits, s.CIDR.Addr().BitLen()-minBlockBits)
	return bits, bits > s.CIDR.Bits()
}

// Blocks are the subnet's slices, in order; none if it is too small.
func (s *Subnet) Blocks() []netip.Prefix {
	bits, ok := s.BlockBits()
	if !ok {
		return nil
	}
	all := []netip.Prefix{netip.PrefixFrom(s.CIDR.Masked().Addr(), bits)}
	for range 1<<(bits-s.CIDR.Bits()) - 1 {
		all = append(all, netip.PrefixFrom(netipx.PrefixLastIP(all[len(all)-1]).Next(), bits))
	}
	return all
}

// NextBlock is the block out of free that a pod with blocks own takes next: one
// that joins them into one prefix, so that they stay few routes; else in the
// middle of nowhere, so that others and the pod itself have room to grow. It is
// false when none is free.
func (s *Subnet) NextBlock(free, own, others []netip.Prefix) (best netip.Prefix, found bool) {
	bestScore := 0
	for _, block := range free {
		if score := s.blockScore(block, own, others); !found || score > bestScore {
			best, bestScore, found = block, score, true
		}
	}
	return best, found
}

// blockScore is the higher, the smaller the prefix that joins the block with own
// ones and holds nobody else's; or, where there is none, the larger the prefix
// around it that nobody has.
func (s *Subnet) blockScore(block netip.Prefix, own, others []netip.Prefix) int {
	for around := block; ; around = parent(around) {
		within := func(p netip.Prefix) bool { return around.Overlaps(p) }
		switch {
		case slices.ContainsFunc(others, within):
			return block.Bits() - around.Bits() - 1
		case slices.ContainsFunc(own, within):
			return block.Addr().BitLen() + around.Bits()
		case around.Bits() <= s.CIDR.Bits():
			return block.Bits() - around.Bits()
		}
	}
}

// Merged are the prefixes as few as possible: how many routes they need.
func Merged(prefixes []netip.Prefix) []netip.Prefix {
	return (&routePlanner{}).merge(slices.Clone(prefixes), netip.Prefix{})
}

// Within is what of the pools lies in the blocks, in the order of the blocks.
func Within(pools []Pool, blocks []netip.Prefix) (parts []Pool) {
	for _, b := range blocks {
		first, last := b.Masked().Addr(), netipx.PrefixLastIP(b)
		for _, p := range pools {
			part := Pool{maxAddr(p.Start, first), minAddr(p.End, last)}
			if part.Start.Compare(part.End) <= 0 {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

func minAddr(a, b netip.Addr) netip.Addr {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}

func maxAddr(a, b netip.Addr) netip.Addr {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}

// Sample picks up to n different addresses of the pools: all of them if there are
// no more, else at random.
func Sample(pools []Pool, n int, below func(uint64) uint64) []netip.Addr {
	var size uint64
	for _, p := range pools {
		size = min(size+p.size(), hugePool)
	}
	var picked []netip.Addr
	if size <= uint64(n) {
		for _, p := range pools {
			for a := p.Start; a.IsValid() && a.Compare(p.End) <= 0; a = a.Next() {
				picked = append(picked, a)
			}
		}
		return picked
	}
	for range n {
		if a, ok := RandomAddress(pools, below); ok && !slices.Contains(picked, a) {
			picked = append(picked, a)
		}
	}
	return picked
}

// BlockUse is how a pod's blocks of a subnet are used.
type BlockUse struct {
	Pod    string
	Blocks []netip.Prefix // as few prefixes as possible: each is a route
	Size   uint64         // addresses of the pools in them
	Used   uint64         // of these, taken
	// Outside is how many ports of the pod have addresses outside of its blocks:
	// chosen by users, or before the port's pod was known.
	Outside uint64
}

// SubnetBlocks says how a subnet is divided among pods.
type SubnetBlocks struct {
	Subnet Subnet
	Free   int // blocks that nobody has
	Pods   []BlockUse
}

// PodAddress is an address taken, and the pod where its port is; empty: none.
type PodAddress struct {
	Address netip.Addr
	Pod     string
}

// CountBlocks says how the blocks of the subnet are used.
func CountBlocks(s Subnet, blocks map[string][]netip.Prefix, taken []PodAddress) SubnetBlocks {
	report := SubnetBlocks{Subnet: s, Free: len(s.Blocks())}
	use := map[string]*BlockUse{}
	of := func(pod string) *BlockUse {
		if use[pod] == nil {
			use[pod] = &BlockUse{Pod: pod}
		}
		return use[pod]
	}
	owner := map[netip.Prefix]string{}
	for pod, all := range blocks {
		u := of(pod)
		u.Blocks = Merged(all)
		report.Free -= len(all)
		for _, p := range Within(s.AllocationPools, all) {
			u.Size = min(u.Size+p.size(), hugePool)
		}
		for _, b := range all {
			owner[b] = pod
		}
	}
	bits, _ := s.BlockBits()
	for _, t := range taken {
		in := owner[netip.PrefixFrom(t.Address, bits).Masked()]
		if in != "" {
			of(in).Used++
		}
		if t.Pod != "" && t.Pod != in {
			of(t.Pod).Outside++
		}
	}
	for _, u := range use {
		report.Pods = append(report.Pods, *u)
	}
	slices.SortFunc(report.Pods, func(a, b BlockUse) int { return strings.Compare(a.Pod, b.Pod) })
	return report
}
