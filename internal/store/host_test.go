package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestPodNumbers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		number := func(name string) int {
			t.Helper()
			p, err := s.CreatePod(ctx, store.Pod{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			found, err := s.FindPod(ctx, name)
			if err != nil || found.Number != p.Number {
				t.Fatalf("FindPod = %d, %v; CreatePod said %d", found.Number, err, p.Number)
			}
			return p.Number
		}
		if a, b := number("b"), number("a"); a != 0 || b != 1 {
			t.Errorf("numbers = %d, %d; want 0, 1", a, b)
		}
		for _, name := range []string{"a", "b"} {
			if err := s.DeletePod(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		if c, again := number("c"), number("b"); c != 2 || again != 0 {
			t.Errorf("after removals: %d for a new pod, %d for one that returns; want 2, 0", c, again)
		}
	})
}

func TestHostNames(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		claim := func(pod string, names ...string) map[string]string {
			t.Helper()
			owners, err := s.ClaimHosts(ctx, pod, names...)
			if err != nil {
				t.Fatal(err)
			}
			return owners
		}
		claim("pod1", "n1", "n2")
		want := map[string]string{"n1": "pod1", "n2": "pod1", "n3": "pod2"}
		if diff := cmp.Diff(want, claim("pod2", "n2", "n3")); diff != "" {
			t.Errorf("ClaimHosts (-want +got):\n%s", diff)
		}
		if _, err := s.ClaimHosts(ctx, "pod9", "n9"); !fault.Is(err, fault.NotFound) {
			t.Errorf("ClaimHosts for no pod: %v, want NotFound", err)
		}
		if err := s.DeletePod(ctx, "pod1"); err != nil {
			t.Fatal(err)
		}
		if got, err := s.HostNames(ctx); err != nil || !cmp.Equal(got, map[string]string{"n3": "pod2"}) {
			t.Errorf("HostNames without pod1 = %v, %v", got, err)
		}
	})
}
