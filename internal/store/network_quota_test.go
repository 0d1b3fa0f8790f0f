package store_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// TestNetworkQuotaTogether: of many requests at once just as many are admitted as
// there is room for.
func TestNetworkQuotaTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		if err := s.SetQuota(ctx, store.QuotaOf{Service: quota.Network, ProjectID: "p"}, quota.Amounts{"network": 5}); err != nil {
			t.Fatal(err)
		}
		var made, refused atomic.Int64
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				_, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: "p", Type: topology.TypeLocal}, {ProjectID: "q", Type: topology.TypeLocal}})
				switch {
				case err == nil:
					made.Add(1)
				case fault.Is(err, fault.OverQuota):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if made.Load() != 5 || refused.Load() != 11 {
			t.Errorf("%d made, %d refused, want 5 and 11", made.Load(), refused.Load())
		}
		used, err := s.NetworkUsed(ctx, "q")
		if err != nil || used["network"] != 5 {
			t.Errorf("q uses %v, %v: a refused request left something", used, err)
		}
	})
}
