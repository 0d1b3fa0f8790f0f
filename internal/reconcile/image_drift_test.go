package reconcile_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// drift is what pod2 has otherwise than its images' homes.
func (i *imageStory) drift() []plan.Difference {
	i.t.Helper()
	time.Sleep(2 * time.Millisecond) // what changed since the look began is left out
	all, err := i.Inspect(i.t.Context(), "pod2")
	if err != nil {
		i.t.Fatal(err)
	}
	var images []plan.Difference
	for _, d := range all {
		if d.Kind == store.KindImage {
			images = append(images, d)
		}
	}
	return images
}

func TestImageDrift(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.bring()
		if got := i.drift(); len(got) > 0 {
			i.t.Errorf("drift of a fresh copy = %+v", got)
		}
		i.must("pod2", http.MethodPatch, "/images/"+i.id, `[{"op":"replace","path":"/name","value":"mine"},{"op":"remove","path":"/hw_x"},{"op":"add","path":"/zoo","value":"1"}]`)
		i.must("pod2", http.MethodPost, "/images/"+i.id+"/members", `{"member":"friend"}`)
		i.must("pod2", http.MethodPost, "/images/"+i.id+"/actions/deactivate", "")
		want := []plan.Difference{{Kind: store.KindImage, ID: i.id, Name: "cirros", Owner: i.project, Problem: plan.Different, Pods: []string{"pod2"},
			Fields: []plan.FieldDifference{
				{Field: "status", Values: map[string]string{reconcile.Wants: "active", "pod2": "deactivated"}},
				{Field: "zoo", Values: map[string]string{"pod2": "1"}},
				{Field: "hw_x", Values: map[string]string{reconcile.Wants: "1"}},
				{Field: "name", Values: map[string]string{reconcile.Wants: "cirros", "pod2": "mine"}},
				{Field: "members", Values: map[string]string{reconcile.Wants: "{}", "pod2": `{"friend":"pending"}`}},
			}}}
		if diff := cmp.Diff(want, i.drift()); diff != "" {
			i.t.Errorf("drift (-want +got):\n%s", diff)
		}
		repair := reconcile.Repair{Kind: store.KindImage, Name: i.id, Pod: "pod2", DryRun: true}
		if done, err := i.RepairPlaced(i.t.Context(), repair); err != nil || done.Steps[0].State != reconcile.RepairPlanned || len(done.Steps[0].Actions) != 5 {
			i.t.Errorf("dry repair = %+v, %v", done, err)
		}
		repair.DryRun = false
		if done, err := i.RepairPlaced(i.t.Context(), repair); err != nil || done.Steps[0].State != reconcile.RepairDone {
			i.t.Errorf("repair = %+v, %v", done, err)
		}
		i.alike()
		if got := i.drift(); len(got) > 0 {
			i.t.Errorf("drift after the repair = %+v", got)
		}
		i.must("pod2", http.MethodDelete, "/images/"+i.id, "")
		if got := i.drift(); len(got) != 1 || got[0].Problem != plan.Missing {
			i.t.Errorf("drift of a copy that is gone = %+v", got)
		}
		if done, err := i.RepairPlaced(i.t.Context(), repair); err != nil || done.Steps[0].State != reconcile.RepairLater || !strings.Contains(done.Steps[0].Actions[0], "copy image") {
			i.t.Errorf("repair of a copy that is gone = %+v, %v", done, err)
		}
	})
}
