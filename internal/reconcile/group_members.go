package reconcile

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// members makes right what a pod knows of a security group's members in other pods:
// one address group, which the rules there name. It exists for as long as there are
// such members, so that a project in one pod has nothing but its own there. A pod
// without address groups has the members' addresses as rules, in the groups.
func (r *Reconciler) members(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		if needed, err := r.store.StillNeeded(ctx, m); err != nil || needed {
			return err
		}
		return unnamed(vanish[plan.AddressGroup](ctx, r, c, m))
	}
	able, err := r.known.addressGroups(ctx, c, r.now())
	if err != nil {
		return err
	}
	if !able {
		return r.store.TouchNaming(ctx, m.ID, m.Pod)
	}
	want, err := r.store.MembersElsewhere(ctx, m.ID, m.Pod)
	if err != nil {
		return err
	}
	if len(want) == 0 {
		return r.noMembers(ctx, c, m)
	}
	there, _, err := object[plan.AddressGroup](ctx, r, c, m, "", plan.NewMembers(m.ID))
	if err != nil {
		return err
	}
	// Addresses come last, so that after a crash it shows that nobody was told yet.
	if len(there.Addresses) == 0 {
		if err := r.store.TouchNaming(ctx, m.ID, m.Pod); err != nil {
			return err
		}
	}
	return fillAddressGroup(ctx, c, want, there)
}

// noMembers takes the address group away. Its addresses go at once; itself when the
// groups do not name it any more.
func (r *Reconciler) noMembers(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if m.PodID == "" && !m.Tried {
		return nil
	}
	if m.PodID != "" {
		there, found, err := get[plan.AddressGroup](ctx, c, m.Kind, m.PodID)
		if err != nil {
			return err
		}
		if found {
			if err := fillAddressGroup(ctx, c, nil, there); err != nil {
				return err
			}
		}
	}
	err := vanish[plan.AddressGroup](ctx, r, c, m)
	if fault.Is(err, fault.Conflict) {
		if err := r.store.TouchNaming(ctx, m.ID, m.Pod); err != nil {
			return err
		}
	}
	return unnamed(err)
}

// unnamed waits for the jobs of the groups whose rules still name the address group.
func unnamed(err error) error {
	if fault.Is(err, fault.Conflict) {
		return &jobs.Again{Reason: "rules in the pod still name it"}
	}
	return err
}

// remoteMembers is what a rule that names the group means in the pod as to members
// in other pods. When their address group is there, its own job keeps it right, and
// nobody waits for that.
func (r *Reconciler) remoteMembers(ctx context.Context, c *pod.Client, group string, by store.Target) (plan.Remote, error) {
	t := store.Target{Kind: store.KindGroupMembers, ID: group, Pod: by.Pod}
	if _, err := r.store.WantFor(ctx, by, "", t); err != nil {
		return plan.Remote{}, err
	}
	m, err := r.store.FindMapping(ctx, t)
	if err != nil {
		return plan.Remote{}, err
	}
	if m.PodID == "" && m.Pending() {
		err := r.Ensure(ctx, t, nil)
		if _, later := errors.AsType[*jobs.Again](err); err != nil && !later {
			return plan.Remote{}, err // later: they left while the pod was making it
		}
		if m, err = r.store.FindMapping(ctx, t); err != nil {
			return plan.Remote{}, err
		}
	}
	elsewhere, err := r.store.MembersElsewhere(ctx, group, by.Pod)
	if err != nil || len(elsewhere) == 0 {
		return plan.Remote{}, err
	}
	able, err := r.known.addressGroups(ctx, c, r.now())
	if err != nil || able {
		return plan.Remote{PodMembersID: m.PodID}, err
	}
	return plan.Remote{Elsewhere: elsewhere}, nil
}

// abilities remembers which pods have address groups.
type abilities struct {
	mu    sync.Mutex
	found map[string]ability
}

type ability struct {
	has   bool
	until time.Time
}

// abilityFor is how long it takes until a pod's upgrade is noticed.
const abilityFor = 10 * time.Minute

func (a *abilities) addressGroups(ctx context.Context, c *pod.Client, now time.Time) (bool, error) {
	a.mu.Lock()
	known := a.found[c.Name()]
	a.mu.Unlock()
	if now.Before(known.until) {
		return known.has, nil
	}
	err := c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodGet,
		Path: "/extensions/security-groups-remote-address-group", Op: "show extension"}, nil, nil)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil {
		a.found = map[string]ability{}
	}
	a.found[c.Name()] = ability{has: err == nil, until: now.Add(abilityFor)}
	return err == nil, nil
}
