package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestDeadlockIsRetried has two transactions take the same rows in opposite
// order. PostgreSQL ends one; it runs again.
func TestDeadlockIsRetried(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Options{URL: url})
		storetest.Pods(t, s, "pod1", "pod2")
		var ready sync.WaitGroup
		ready.Add(2)
		swap := func(first, second string) error {
			var once sync.Once
			return s.Write(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.Exec(t.Context(), `UPDATE pods SET zone = 'x' WHERE name = ?`, first); err != nil {
					return err
				}
				once.Do(func() { ready.Done(); ready.Wait() }) // both hold one row now
				_, err := tx.Exec(t.Context(), `UPDATE pods SET zone = 'x' WHERE name = ?`, second)
				return err
			})
		}
		errs := make(chan error, 2)
		go func() { errs <- swap("pod1", "pod2") }()
		go func() { errs <- swap("pod2", "pod1") }()
		if err := errors.Join(<-errs, <-errs); err != nil {
			t.Error(err)
		}
	})
}

func TestWriteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		zone := func(name string, then func(*store.Tx) error) error {
			return s.Write(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.Exec(t.Context(), `UPDATE pods SET zone = ?, pod_zone = '?' WHERE name = 'pod1'`, name); err != nil {
					return err
				}
				return then(tx)
			})
		}
		broken := errors.New("changed my mind")
		called := false
		if err := zone("bad", func(tx *store.Tx) error {
			tx.AfterCommit(func() { called = true })
			return broken
		}); !errors.Is(err, broken) {
			t.Fatalf("Write = %v, want %v", err, broken)
		}
		func() {
			defer func() { _ = recover() }()
			_ = zone("worse", func(*store.Tx) error { panic("boom") })
		}()
		if p, err := s.FindPod(t.Context(), "pod1"); err != nil || p.Zone != "az1" {
			t.Errorf("zone = %q, %v; want it unchanged", p.Zone, err)
		}
		if called {
			t.Error("AfterCommit's function was called after a rollback")
		}
		if err := zone("good", func(tx *store.Tx) error {
			tx.AfterCommit(func() { called = true })
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if p, err := s.FindPod(t.Context(), "pod1"); err != nil || p.Zone != "good" || p.PodZone != "?" {
			t.Errorf("pod = %+v, %v; want the change", p, err)
		}
		if !called {
			t.Error("AfterCommit's function was not called")
		}
	})
}

// TestWritesDoNotGetLost counts up in many transactions at once.
func TestWritesDoNotGetLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		const writers, each = 8, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					_, err := s.UpdatePod(context.Background(), "pod1", func(p *store.Pod) error {
						p.DHCPPorts++
						return nil
					})
					if err != nil {
						t.Errorf("UpdatePod: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if p, err := s.FindPod(t.Context(), "pod1"); err != nil || p.DHCPPorts != 1+writers*each {
			t.Errorf("count = %d, %v; want %d", p.DHCPPorts, err, 1+writers*each)
		}
	})
}

func TestCancelledWrite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.CreatePod(ctx, store.Pod{Name: "pod1"}); !errors.Is(err, context.Canceled) {
			t.Errorf("CreatePod = %v, want it cancelled", err)
		}
		if _, err := s.FindPod(t.Context(), "pod1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindPod = %v, want NotFound", err)
		}
	})
}
