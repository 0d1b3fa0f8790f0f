package store_test

import (
	"testing"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// BenchmarkMembersElsewhere has a group of 100, 1,000 and 10,000 members in three pods,
// named by itself in all of them. It reads those outside of one pod, and has one more come: the
// first grows with the members, the second does not.
func BenchmarkMembersElsewhere(b *testing.B) {
	for size, members := range map[string]int{"100": 100, "1000": 1_000, "10000": 10_000} {
		for name, url := range urls(b) {
			s := storetest.Open(b, store.Options{URL: url})
			ctx := bench(b, s)
			if _, err := s.CreatePod(ctx, store.Pod{Name: "pod3", Region: "pod3", Zone: "az-pod3", DHCPPorts: 1}); err != nil {
				b.Fatal(err)
			}
			n := addNetwork(b, s, topology.Network{})
			addSubnet(b, s, subnetSpec(n.ID, "10.0.0.0/12"))
			pods := []string{"pod1", "pod2", "pod3"}
			come := func(i int) topology.Port {
				p := addPort(b, s, portSpec(n.ID))
				if _, err := s.Want(ctx, alice, store.Target{Kind: store.KindPort, ID: p.ID, Pod: pods[i%len(pods)]}); err != nil {
					b.Fatal(err)
				}
				return p
			}
			group := come(0).SecurityGroups[0]
			for _, pod := range pods {
				if _, err := s.Want(ctx, "", store.Target{Kind: store.KindGroupMembers, ID: group, Pod: pod}); err != nil {
					b.Fatal(err)
				}
			}
			for i := 1; i < members; i++ {
				come(i)
			}
			if _, err := s.WriteDB().Exec(`ANALYZE`); err != nil { // as autovacuum would by now
				b.Fatal(err)
			}
			b.Run(name+"/"+size+"/read", func(b *testing.B) {
				for b.Loop() {
					all, err := s.MembersElsewhere(ctx, group, "pod1")
					if err != nil || len(all) < members/2 {
						b.Fatal(len(all), err)
					}
				}
			})
			b.Run(name+"/"+size+"/one more", func(b *testing.B) {
				i := 0
				for b.Loop() {
					i++
					come(i)
				}
			})
		}
	}
}
