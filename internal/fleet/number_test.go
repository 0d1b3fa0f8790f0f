package fleet

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pod      int
		id, want int64
	}{
		{0, 1, 1}, {0, 9_999_999, 9_999_999}, {1, 1, 10_000_001}, {213, 9_999_999, 2_139_999_999},
		{0, 10_000_000, 2_000_000_000_000}, {1, 10_000_000, 2_000_000_000_001}, {214, 1, 2_140_000_001},
	} {
		if got := regionNumber(tt.pod, tt.id); got != tt.want {
			t.Errorf("regionNumber(%d, %d) = %d, want %d", tt.pod, tt.id, got, tt.want)
		}
	}
	for _, n := range []int64{-1, math.MinInt64, math.MaxInt64, wide, wide + 5*spread} {
		if pod, id, ok := podNumber(n); ok {
			t.Errorf("podNumber(%d) = %d, %d; no pod can have it", n, pod, id)
		}
	}
}

// TestNumbersLeadBack holds that a number of the region leads to the one thing
// that it was made of, and fits what JSON clients can count.
func TestNumbersLeadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pod := rapid.IntRange(0, spread-1).Draw(t, "pod")
		id := rapid.OneOf(rapid.Int64Range(0, 3*span), rapid.Int64Range(0, math.MaxInt32)).Draw(t, "id")
		n := regionNumber(pod, id)
		gotPod, gotID, ok := podNumber(n)
		if !ok || gotPod != pod || gotID != id || n >= 1<<53 || id < span && pod < 214 && n > math.MaxInt32 {
			t.Errorf("%d of pod %d became %d, and that %d of pod %d", id, pod, n, gotID, gotPod)
		}
	})
}
