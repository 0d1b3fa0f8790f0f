package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

const manyPorts = 100_000

// BenchmarkListPorts lists a page of 1,000 out of 100,000 ports of one project,
// on both databases: the first page, one far in, and one by another order.
func BenchmarkListPorts(b *testing.B) {
	for name, url := range urls(b) {
		s := storetest.Open(b, store.Options{URL: url})
		ctx := bench(b, s)
		n := addNetwork(b, s, topology.Network{})
		addSubnet(b, s, subnetSpec(n.ID, "10.0.0.0/12"))
		var middle string
		for made := 0; made < manyPorts; made += 500 {
			specs := make([]topology.PortSpec, 500)
			for i := range specs {
				specs[i] = portSpec(n.ID)
				specs[i].Name = fmt.Sprintf("port-%d", made+i)
			}
			ports, err := s.CreatePorts(ctx, specs)
			if err != nil {
				b.Fatal(err)
			}
			middle = ports[0].ID
		}
		if _, err := s.WriteDB().Exec(`ANALYZE`); err != nil { // as autovacuum would by now
			b.Fatal(err)
		}
		for what, q := range map[string]store.Query{
			"first":   {ProjectID: alice, Limit: 1000},
			"middle":  {ProjectID: alice, Limit: 1000, Marker: middle},
			"network": {ProjectID: alice, Limit: 1000, Filters: map[string][]string{"network_id": {n.ID}}},
			"by name": {ProjectID: alice, Limit: 1000, Sort: []store.SortKey{{Name: "name"}}},
			"admin":   {Limit: 1000},
			"one":     {ProjectID: alice, Filters: map[string][]string{"name": {"port-77777"}}},
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				for b.Loop() {
					ports, err := s.ListPorts(ctx, q)
					if err != nil || len(ports) == 0 {
						b.Fatal(len(ports), err)
					}
				}
			})
		}
	}
}

// BenchmarkCreatePorts makes ports one by one, as 16 clients do: anywhere in the
// subnet, and in the blocks of two pods.
func BenchmarkCreatePorts(b *testing.B) {
	for name, url := range urls(b) {
		s := storetest.Open(b, store.Options{URL: url})
		bench(b, s)
		for what, pods := range map[string][]string{"anywhere": {""}, "in blocks": {"pod1", "pod2"}} {
			n := addNetwork(b, s, topology.Network{})
			addSubnet(b, s, subnetSpec(n.ID, "10.0.0.0/12"))
			b.Run(name+"/"+what, func(b *testing.B) {
				b.SetParallelism(8)
				began := time.Now()
				var turn atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						spec := portSpec(n.ID)
						spec.Near = pods[int(turn.Add(1))%len(pods)]
						if _, err := s.CreatePorts(context.Background(), []topology.PortSpec{spec}); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "ports/s")
			})
		}
	}
}

func urls(b *testing.B) map[string]string {
	return map[string]string{"sqlite": storetest.SQLiteURL(b), "postgres": storetest.PostgresURL(b)}
}
