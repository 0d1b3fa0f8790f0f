package dispatch

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

func patient(pods []*fakePod, timeout, patience time.Duration) *Dispatcher {
	d := newTest(indexOf(pods), pods...)
	d.Timeout, d.Patience = timeout, patience
	return d
}

// inDoubt has pod2 let a list wait in vain.
func inDoubt(t *testing.T, d *Dispatcher) {
	t.Helper()
	limit := d.Timeout
	d.Timeout = 20 * time.Millisecond
	if _, _, err := ids(t, d, serverList(newestFirst()...)); err != nil {
		t.Fatal(err)
	}
	d.Timeout = limit
}

// TestASlowPodIsWaitedFor: without a doubt, no row is left out because a pod takes
// its time; and with its answer a doubt ends.
func TestASlowPodIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, doubt := range []bool{false, true} {
		pods := two()
		d := patient(pods, 20*time.Second, time.Millisecond)
		if doubt {
			pods[1].fault = func(call int) string { return map[bool]string{true: "hang"}[call == 1] }
			inDoubt(t, d)
			d.Patience = 10 * time.Second
			if got, _, err := ids(t, d, serverList(newestFirst()...)); err != nil || !slices.Contains(got, "b4") {
				t.Errorf("%v, %v, want what pod2 tells again", got, err)
			}
			d.Patience = time.Millisecond
		}
		pods[1].fault = always("slow")
		got, result, err := ids(t, d, serverList(newestFirst()...))
		if err != nil || !slices.Contains(got, "b4") || len(result.Away) > 0 {
			t.Errorf("after a doubt %v: %v, away %v, %v, want what pod2 tells late", doubt, got, result.Away, err)
		}
	}
}

// TestAHungPodDelaysOnlyAMoment: what the other pods have is not kept back for the
// whole time limit when the pod hung before, and the pod is named as it would be then.
func TestAHungPodDelaysOnlyAMoment(t *testing.T) {
	t.Parallel()
	pods := two()
	pods[1].fault = always("hang")
	d := patient(pods, time.Hour, 30*time.Millisecond)
	inDoubt(t, d)
	got, result, err := ids(t, d, serverList(newestFirst()...)) // not within the hour
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b4?", "a3", "b2?", "a1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if away := result.Away; len(away) != 1 || away[0].Pod != "pod2" || !fault.Is(away[0].Err, fault.Timeout) {
		t.Errorf("away: %v", away)
	}
}

// TestPatienceIsForTheLastPods: without an answer to give there is no hurry, nor
// when a list without a pod is an error.
func TestPatienceIsForTheLastPods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		faults [2]string
		strict bool
	}{
		{name: "the other is away", faults: [2]string{"down", "slow"}},
		{name: "all are slow", faults: [2]string{"slow", "slow"}},
		{name: "strict", faults: [2]string{"", "slow"}, strict: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pods := two()
			for i, what := range test.faults {
				pods[i].fault = always(what)
			}
			l := serverList(newestFirst()...)
			l.Strict = test.strict
			got, _, err := ids(t, patient(pods, 20*time.Second, time.Millisecond), l)
			if err != nil || !slices.Contains(got, "b4") {
				t.Errorf("%v, %v, want what pod2 tells late", got, err)
			}
		})
	}
}

// TestAPodGivenUpIsStillJudged: its request goes on when the list is done, so that
// the pod's client learns that it hangs; a client that goes away ends it.
func TestAPodGivenUpIsStillJudged(t *testing.T) {
	t.Parallel()
	for _, leaves := range []bool{false, true} {
		pods := two()
		pods[1].fault = always("hang")
		ended := make(chan error, 1)
		d := patient(pods, 300*time.Millisecond, time.Millisecond)
		inDoubt(t, d)
		if leaves {
			d.Patience = 10 * time.Second
		}
		client := d.Client
		d.Client = func(ctx context.Context, name string) (Pod, error) {
			p, err := client(ctx, name)
			return spied{p, ended, name == "pod2"}, err
		}
		ctx, cancel := context.WithCancel(t.Context())
		if leaves {
			time.AfterFunc(20*time.Millisecond, cancel)
		}
		result, err := d.List(ctx, serverList(newestFirst()...))
		if err == nil {
			_, err = result.WriteTo(&strings.Builder{})
		}
		cancel()
		if err != nil && !leaves {
			t.Fatal(err)
		}
		want := context.DeadlineExceeded
		if leaves {
			want = context.Canceled
		}
		if got := <-ended; !errors.Is(got, want) {
			t.Errorf("client leaves %v: the pod's request ended with %v, want %v", leaves, got, want)
		}
	}
}

// spied tells how the request to one pod ended.
type spied struct {
	Pod
	ended chan error
	tell  bool
}

func (s spied) Do(ctx context.Context, r pod.Request) (*http.Response, error) {
	resp, err := s.Pod.Do(ctx, r)
	if s.tell {
		s.ended <- ctx.Err()
	}
	return resp, err
}
