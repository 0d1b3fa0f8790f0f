package fleet

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// askTimeout bounds each question to a pod, if the pods' own time limit is not
// shorter: a creation waits for the slowest.
const askTimeout = 10 * time.Second

// Choose picks the pod for a new server of the caller's project. It asks the pods
// with the caller's own token, so an image that he may not see counts as missing.
// The project's binding in the zone is made here on first use, and moves only
// when the bound pod is gone or cordoned: a pod that merely lacks the image of
// this one server stays the project's pod.
//
// A wrong request is fault.Invalid; pods that are away or cordoned are
// fault.Unavailable. Both name every pod of the zone with its reason.
func (f *Fleet) Choose(ctx context.Context, by identity.Caller, need Need) (store.Pod, error) {
	need.ProjectID = by.ProjectID
	pods, err := f.Pods(ctx)
	if err != nil {
		return store.Pod{}, err
	}
	bound, err := f.bindings(ctx, by.ProjectID)
	if err != nil {
		return store.Pod{}, err
	}
	candidates := make([]Candidate, 0, len(pods))
	for _, p := range pods {
		candidates = append(candidates, Candidate{
			Pod: p.Name, Zone: p.Zone, Cordoned: p.Cordoned, Bound: bound[p.Zone] == p.Name,
		})
	}
	name, err := f.survey(ctx, by, candidates, need)
	if err != nil {
		return store.Pod{}, err
	}
	chosen, _ := find(pods, name)
	if err := f.keepBinding(ctx, pods, chosen, bound[chosen.Zone], by.ProjectID); err != nil {
		return store.Pod{}, err
	}
	return chosen, nil
}

// bindings maps zone to the pod that the project is bound to there. Of several in
// a zone the store lists the one in force first.
func (f *Fleet) bindings(ctx context.Context, project string) (map[string]string, error) {
	if project == "" {
		// To the store an empty project means all of them.
		return nil, fault.New(fault.Invalid, "", "The token has no project: a server needs one")
	}
	all, err := f.store.ListBindings(ctx, project)
	if err != nil {
		return nil, err
	}
	bound := map[string]string{}
	for _, b := range all {
		if bound[b.Zone] == "" {
			bound[b.Zone] = b.Pod
		}
	}
	return bound, nil
}

func (f *Fleet) keepBinding(ctx context.Context, pods []store.Pod, chosen store.Pod, bound, project string) error {
	if bound == chosen.Name {
		return nil
	}
	if old, ok := find(pods, bound); ok && old.Zone == chosen.Zone && !old.Cordoned {
		return nil
	}
	return f.store.Bind(ctx, project, chosen.Zone, chosen.Name)
}

// survey places the server with live facts. The pod that would be taken if all
// were well is asked alone first: normally that settles it, and a zone of fifty
// pods costs no more than one.
func (f *Fleet) survey(ctx context.Context, by identity.Caller, candidates []Candidate, need Need) (string, error) {
	first, _, err := Place(candidates, need)
	if err != nil {
		return f.surveyAll(ctx, by, candidates, need, "")
	}
	i := slices.IndexFunc(candidates, func(c Candidate) bool { return c.Pod == first })
	if err := f.learn(ctx, by, &candidates[i], need); err != nil {
		return "", err
	}
	if _, refused := firstRefusal(candidates[i], need); !refused {
		return first, nil
	}
	return f.surveyAll(ctx, by, candidates, need, first)
}

func (f *Fleet) surveyAll(ctx context.Context, by identity.Caller, candidates []Candidate, need Need, known string) (string, error) {
	var wg sync.WaitGroup
	errs := make([]error, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if c.Pod == known || need.Zone != "" && c.Zone != need.Zone {
			continue
		}
		wg.Go(func() { errs[i] = f.learn(ctx, by, c, need) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	name, refused, err := Place(candidates, need)
	for _, r := range refused {
		f.log.InfoContext(ctx, "pod passed over", "request_id", by.RequestID, "pod", r.Pod, "reason", r.Reason, "chosen", name)
	}
	return name, err
}

// learn asks the pod for everything that the need names, in parallel, and writes
// the answers into c. A pod that does not answer is a fact, not an error.
func (f *Fleet) learn(ctx context.Context, by identity.Caller, c *Candidate, need Need) error {
	client, err := f.Client(ctx, c.Pod)
	if err != nil {
		c.Away = err.Error()
		return nil
	}
	questions := questionsOf(need)
	has := make([]bool, len(questions))
	errs := make([]error, len(questions))
	var wg sync.WaitGroup
	for i, q := range questions {
		wg.Go(func() { has[i], errs[i] = f.has(ctx, client, by, q) })
	}
	wg.Wait()
	for i, q := range questions {
		switch {
		case fault.Is(errs[i], fault.Unavailable), fault.Is(errs[i], fault.Timeout):
			c.Away = reasonOf(errs[i])
			return nil
		case errs[i] != nil:
			return errs[i]
		case has[i]:
		case q.service == pod.Image:
			c.NoImage = true
		case q.service == pod.Compute:
			c.NoFlavor = true
		default:
			c.NoVolume = append(c.NoVolume, q.id)
		}
	}
	return nil
}

// reasonOf is the error's own words without the pod's name, which the sentence
// around it has.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Message
	}
	return err.Error()
}

// question is one thing that a pod may have.
type question struct {
	service  pod.Service
	path, id string
}

func questionsOf(need Need) []question {
	var qs []question
	if need.ImageID != "" {
		qs = append(qs, question{pod.Image, "/images/", need.ImageID})
	}
	if need.FlavorID != "" {
		qs = append(qs, question{pod.Compute, "/flavors/", need.FlavorID})
	}
	for _, v := range need.Volumes {
		qs = append(qs, question{pod.Volume, "/volumes/", v})
	}
	return qs
}

func (f *Fleet) askTimeout() time.Duration {
	if t := f.client.Timeout; t > 0 && t < askTimeout {
		return t
	}
	return askTimeout
}

// has asks the pod, or remembers. While the pod counts as away its earlier
// answers are not used: the question is what finds out that it is back.
func (f *Fleet) has(ctx context.Context, client *pod.Client, by identity.Caller, q question) (bool, error) {
	s := sighting{client.Name(), by.ProjectID, q}
	if state, _, _ := client.State(); state != pod.Away && f.seen.holds(s) {
		return true, nil
	}
	err := client.JSON(ctx, pod.Request{
		Service: q.service, Method: http.MethodGet, Path: q.path + url.PathEscape(q.id),
		As: &by, Timeout: f.askTimeout(), Op: "find " + q.id,
	}, nil, nil)
	switch {
	case err == nil:
		f.seen.add(s)
		return true, nil
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Forbidden), fault.Is(err, fault.Invalid):
		return false, nil
	}
	return false, err
}
