package reconcile

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// What an operator changed in a copy of an image is found by comparing the copy with
// its home, as the copy's job would.

// listImages reads all images of a pod, hidden ones too, in pages.
func listImages(ctx context.Context, c *pod.Client) (map[string]plan.Image, error) {
	all := map[string]plan.Image{}
	for _, hidden := range []string{"false", "true"} {
		q := url.Values{"limit": {strconv.Itoa(stagePage)}, "visibility": {"all"}, "os_hidden": {hidden}}
		for {
			var page struct {
				Images []plan.Image `json:"images"`
				Next   string       `json:"next"`
			}
			r := pod.Request{Service: pod.Image, Method: http.MethodGet, Path: "/images", Query: q, Op: "list images"}
			if err := c.JSON(ctx, r, nil, &page); err != nil {
				return nil, err
			}
			for _, i := range page.Images {
				all[i.Text("id")] = i
				q.Set("marker", i.Text("id"))
			}
			if page.Next == "" || len(page.Images) == 0 {
				break
			}
		}
	}
	return all, nil
}

// inspectImages compares a pod's copies with their homes; those whose home is away are
// left out.
func (r *Reconciler) inspectImages(ctx context.Context, c *pod.Client, began time.Time) ([]plan.Difference, error) {
	images, err := r.settledCopies(ctx, c.Name(), began)
	if err != nil || len(images) == 0 {
		return nil, err
	}
	here, err := listImages(ctx, c)
	if err != nil {
		return nil, err
	}
	var out []plan.Difference
	byHome := map[string][]store.Image{}
	for _, i := range images {
		byHome[i.Home] = append(byHome[i.Home], i)
	}
	for _, name := range slices.Sorted(maps.Keys(byHome)) {
		home, err := r.pods.Client(ctx, name)
		if err != nil {
			continue
		}
		there, err := listImages(ctx, home)
		if err != nil {
			continue
		}
		for _, i := range byHome[name] {
			d, differs, err := imageDifference(ctx, c, home, there[i.ID], here[i.ID])
			if err != nil {
				return nil, err
			}
			if differs {
				out = append(out, d)
			}
		}
	}
	return out, nil
}

// settledCopies are the images with a copy in the pod that no job is about to change.
func (r *Reconciler) settledCopies(ctx context.Context, podName string, began time.Time) ([]store.Image, error) {
	placed, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: store.KindImage, Pod: podName})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, m := range placed {
		if m.Wanted && !m.Pending() && !m.UpdatedAt.After(began) {
			ids = append(ids, m.ID)
		}
	}
	rows, err := r.store.FindImages(ctx, ids)
	if err != nil {
		return nil, err
	}
	var out []store.Image
	for _, id := range ids {
		if i, ok := rows[id]; ok && !i.Deleted && i.Home != podName {
			out = append(out, i)
		}
	}
	return out, nil
}

// imageDifference compares a copy with its home. An image that its home has lost is
// not the copy's fault.
func imageDifference(ctx context.Context, c, at *pod.Client, home, found plan.Image) (d plan.Difference, differs bool, err error) {
	if home == nil || !home.Whole() {
		return d, false, nil
	}
	d = plan.Difference{Kind: store.KindImage, ID: home.Text("id"), Name: home.Text("name"), Owner: home.Text("owner"), Problem: plan.Different, Pods: []string{c.Name()}}
	if found == nil {
		d.Problem = plan.Missing
		return d, true, nil
	}
	differ := func(field string, want, has any) {
		d.Fields = append(d.Fields, plan.FieldDifference{Field: field, Values: map[string]string{Wants: shown(want), c.Name(): shown(has)}})
	}
	if plan.SameData(home, found) != "" {
		differ("os_hash_value", home["os_hash_value"], found["os_hash_value"])
	}
	if home.Text("status") != found.Text("status") {
		differ("status", home["status"], found["status"])
	}
	for _, step := range plan.ImageChanges(home, found) {
		f := plan.FieldDifference{Field: step.Name(), Values: map[string]string{}}
		if step.Op != "remove" {
			f.Values[Wants] = shown(step.Value)
		}
		if has, ok := found[step.Name()]; ok {
			f.Values[c.Name()] = shown(has)
		}
		d.Fields = append(d.Fields, f)
	}
	if home.Text("visibility") == "shared" && found.Text("visibility") == "shared" {
		want, err := membersOf(ctx, at, home)
		if err != nil {
			return d, false, err
		}
		has, err := membersOf(ctx, c, found)
		if err != nil {
			return d, false, err
		}
		if !maps.Equal(want, has) {
			differ("members", want, has)
		}
	}
	return d, len(d.Fields) > 0, nil
}

// repairImage makes a copy like its home, at an operator's order.
func (r *Reconciler) repairImage(ctx context.Context, m store.Mapping, dry bool) (PodSteps, error) {
	step := PodSteps{Pod: m.Pod, State: RepairNothing}
	image, err := r.store.FindImage(ctx, m.ID)
	if fault.Is(err, fault.NotFound) || err == nil && (image.Home == m.Pod || image.Deleted) {
		return step, nil
	}
	if err != nil {
		return step, err
	}
	d, differs, err := r.compareImage(ctx, m, image)
	if err != nil || !differs {
		return step, err
	}
	for _, f := range d.Fields {
		step.Actions = append(step.Actions, "change "+f.Field+" of image "+m.ID)
	}
	if d.Problem == plan.Missing {
		step.Actions = []string{"copy image " + m.ID}
	}
	if step.State = RepairPlanned; dry {
		return step, nil
	}
	if err := r.store.TouchIn(ctx, m.Target); err != nil {
		return step, err
	}
	if d.Problem == plan.Missing { // gigabytes: the job's work
		step.State, step.Reason = RepairLater, "a job copies it"
		return step, nil
	}
	step.State = RepairDone
	if err := r.Ensure(ctx, m.Target, nil); err != nil {
		step.State, step.Reason = RepairLater, err.Error()
	}
	return step, nil
}

func (r *Reconciler) compareImage(ctx context.Context, m store.Mapping, image store.Image) (plan.Difference, bool, error) {
	c, err := r.pods.Client(ctx, m.Pod)
	if err != nil {
		return plan.Difference{}, false, err
	}
	at, err := r.pods.Client(ctx, image.Home)
	if err != nil {
		return plan.Difference{}, false, err
	}
	home, err := showImage(ctx, at, m.ID)
	if err != nil {
		return plan.Difference{}, false, err
	}
	found, err := showImage(ctx, c, m.ID)
	if err != nil {
		return plan.Difference{}, false, err
	}
	return imageDifference(ctx, c, at, home, found)
}
