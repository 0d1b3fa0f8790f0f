package compute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/store"
)

// plan resolves what the request names into what its pod must have. It changes
// nothing.
func (a *api) plan(ctx context.Context, j *job) error {
	if err := mayCreate(j); err != nil {
		return err
	}
	if err := a.resolveZone(ctx, j); err != nil {
		return err
	}
	j.need = fleet.Need{ProjectID: j.by.ProjectID, Zone: j.wish.Zone.Name, ZonePods: j.wish.Zone.Pods, FlavorID: j.wish.FlavorID, Diskless: j.wish.ImageID == ""}
	var err error
	if j.groups, err = a.resolveGroups(ctx, j.by, j.wish.Groups); err != nil {
		return err
	}
	if j.nics, err = a.resolveNetworks(ctx, j.by, j.wish.Networks); err != nil {
		return err
	}
	if j.need.NetworkPods, err = a.confine(ctx, j.nics); err != nil {
		return err
	}
	if j.need.PodOnly, j.need.Why, err = a.tied(ctx, j); err != nil {
		return err
	}
	if j.need.TooOld, err = a.tooOld(ctx, j); err != nil {
		return err
	}
	j.need.ImageID, j.need.CopyImage = j.wish.ImageID, j.wish.ImageID != "" && !a.Stay
	return a.toNamedHosts(ctx, j)
}

func mayCreate(j *job) error {
	denied := func(policy string) error {
		return fault.New(fault.Forbidden, "", "Policy doesn't allow %s to be performed.", policy)
	}
	switch {
	case j.by.ProjectID == "":
		return denied("os_compute_api:servers:create")
	case j.by.IsAdmin(), len(j.wish.hosts()) == 0:
		return nil
	case j.wish.Zone.Host != "" || j.wish.Zone.Node != "":
		return denied("os_compute_api:servers:create:forced_host")
	}
	return denied("compute:servers:create:requested_destination")
}

// toNamedHosts ties the server to the pod of the hosts that an admin names, by the
// region's names for them, and names them as the pod does.
func (a *api) toNamedHosts(ctx context.Context, j *job) error {
	for _, named := range j.wish.hosts() {
		at, there, err := a.Fleet.FindHost(ctx, named.name)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Invalid, "", "Compute host %s could not be found.", named.name)
		}
		if err != nil {
			return err
		}
		why := "host " + named.name + " is in pod " + at
		if j.need.PodOnly != "" && j.need.PodOnly != at {
			return elsewhere(j.need.Why, why)
		}
		j.need.PodOnly, j.need.Why = at, why
		named.rename(there)
	}
	return nil
}

// choose picks the pod for the next server, and writes down why.
func (a *api) choose(ctx context.Context, j *job) error {
	if j.wish.Apart {
		j.need.Used = map[string]int{}
		for _, m := range j.made {
			j.need.Used[m.pod]++
		}
	}
	chosen, decision, err := a.Fleet.Decide(ctx, j.by, j.need)
	if err == nil && decision.NeedsImage() && !j.canCopy {
		if j.canCopy = a.canCopy(ctx, j); !j.canCopy {
			j.need.CopyImage = false // the image stays where it is, or is nowhere
			chosen, decision, err = a.Fleet.Decide(ctx, j.by, j.need)
		}
	}
	step := fleet.Step{At: a.Now().UTC(), Decision: decision}
	if err != nil {
		step.Error = err.Error()
	}
	j.story.Steps = append(j.story.Steps, step)
	a.remember(ctx, j)
	if err == nil {
		j.pod = chosen
	}
	return err
}

// remember keeps the story of the request. Without it the request goes on all the
// same.
func (a *api) remember(ctx context.Context, j *job) {
	if j.record.ID == "" {
		j.record = store.Decision{ID: uuid.NewString(), RequestID: j.by.RequestID, ProjectID: j.by.ProjectID}
	}
	j.story.Need, j.story.Count, j.story.Apart = j.need, j.wish.Max, j.wish.Apart
	document, err := json.Marshal(j.story)
	if err == nil {
		j.record.Document = document
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = a.Store.RecordDecision(ctx, j.record)
	}
	if err != nil {
		a.Log.WarnContext(ctx, "cannot keep why a pod was chosen", "request_id", j.by.RequestID, "error", err)
	}
}

// podRefused reports whether the pod answered at once that it has no room or no
// quota for the server, so that nothing was made and another pod may take it.
func podRefused(err error) bool {
	f, ok := faultOf(err)
	if !ok || f.Pod == "" || f.Upstream == nil || f.Upstream.Status >= http.StatusInternalServerError {
		return false
	}
	return f.Kind == fault.OverQuota || strings.Contains(f.Message, noValidHost)
}

// noValidHost begins what Nova's scheduler says when it finds no host.
const noValidHost = "No valid host was found"

// errOtherPod says that the request as a whole must go to another pod.
var errOtherPod = errors.New("the pod refused after servers had been made there")

// moveOn takes the creation to the next pod, after this one has refused it. Without
// one it ends the creation, and the error names what each pod said.
func (a *api) moveOn(ctx context.Context, j *job, in *store.Intent, held *releases, cause error) error {
	if len(j.made) > 0 && j.serverGroup != "" {
		return a.retreat(ctx, *in, cause) // those made keep the group where it is
	}
	if len(j.made) > 0 && !j.wish.Apart {
		return a.retreat(ctx, *in, &batchError{cause})
	}
	if err := a.chooseAgain(ctx, j, cause); err != nil {
		return a.retreat(ctx, *in, err)
	}
	next := *in
	next.Pod, next.Zone = j.pod.Name, j.pod.Zone
	if err := held.hold(ctx, a.Reconciler, next); err != nil {
		return a.retreat(ctx, *in, err)
	}
	err := a.Store.MoveIntent(ctx, in.ID, next.Pod, next.Zone)
	if groupElsewhere(err) {
		return a.retreat(ctx, *in, cause) // another member has come to keep the group here
	}
	if err != nil {
		return a.retreat(ctx, *in, err)
	}
	*in = next
	return nil
}

// batchError is the refusal of a server whose siblings were made.
type batchError struct{ cause error }

func (e *batchError) Error() string   { return e.cause.Error() }
func (e *batchError) Unwrap() []error { return []error{e.cause, errOtherPod} }

// chooseAgain picks a pod after the one chosen has refused.
func (a *api) chooseAgain(ctx context.Context, j *job, cause error) error {
	f, _ := faultOf(cause)
	if !strings.Contains(f.Message, "group") { // a quota of server groups stops no other server
		a.Fleet.NoQuota(j.pod.Name, j.by.ProjectID, f.Message)
	}
	a.Log.InfoContext(ctx, "pod refused a server", "request_id", j.by.RequestID, "pod", j.pod.Name, "reason", f.Message)
	j.need.Refused = append(slices.Clone(j.need.Refused), fleet.Refusal{Pod: j.pod.Name, Reason: "it refused: " + f.Message, Later: true})
	j.story.Steps[len(j.story.Steps)-1].Refused = f.Message
	if err := a.choose(ctx, j); err != nil {
		return allRefused(f, j)
	}
	return nil
}

// allRefused is the last pod's refusal with what kept the server from the others.
func allRefused(last *fault.Error, j *job) error {
	var others []string
	for _, r := range j.story.Steps[len(j.story.Steps)-1].Refusals() {
		if r.Pod != last.Pod {
			others = append(others, fmt.Sprintf("pod %s: %s", r.Pod, r.Reason))
		}
	}
	if len(others) == 0 {
		return last
	}
	said := *last
	said.Message += " (" + strings.Join(others, "; ") + ")"
	return &said
}

// retreat ends a creation that the pod refused: nothing of it stays there.
func (a *api) retreat(ctx context.Context, in store.Intent, cause error) error {
	return a.end(ctx, in, cause, a.Store.Retreat)
}

// releases are the locks of one creation, one for each pod that it has come to.
type releases []func()

func (r *releases) hold(ctx context.Context, by Reconciler, in store.Intent) error {
	release, err := by.Hold(ctx, in.ID, in.Pod)
	if err == nil {
		*r = append(*r, release)
	}
	return err
}

func (r *releases) release() {
	for _, release := range *r {
		release()
	}
}
