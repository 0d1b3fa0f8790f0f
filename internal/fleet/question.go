package fleet

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

// learn asks the pod for everything that the need names, in parallel, and writes
// the answers into c. A pod that does not answer is a fact, not an error.
func (f *Fleet) learn(ctx context.Context, by identity.Caller, c *Candidate, need Need) error {
	c.Asked = true
	client, err := f.Client(ctx, c.Pod)
	if err != nil {
		c.Away = err.Error()
		return nil
	}
	questions := questionsOf(need)
	has := make([]bool, len(questions))
	errs := make([]error, len(questions))
	ask := f.has
	if need.live {
		ask = f.hasNow
	}
	var wg sync.WaitGroup
	for i, q := range questions {
		wg.Go(func() { has[i], errs[i] = ask(ctx, client, by, q) })
	}
	wg.Wait()
	for i, q := range questions {
		switch {
		case fault.Is(errs[i], fault.Unavailable), fault.Is(errs[i], fault.Timeout):
			c.Away = reasonOf(errs[i])
			return nil
		case errs[i] != nil:
			return errs[i]
		case !has[i]:
			q.missing(c)
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
	kind string // of the thing: image, flavor, volume
	id   string
}

func questionsOf(need Need) []question {
	var qs []question
	add := func(kind, id string) {
		if id != "" {
			qs = append(qs, question{kind, id})
		}
	}
	add("image", need.ImageID)
	add("flavor", need.FlavorID)
	for _, v := range need.Volumes {
		add("volume", v)
	}
	return qs
}

// missing writes down that the pod does not have the thing.
func (q question) missing(c *Candidate) {
	switch q.kind {
	case "image":
		c.NoImage = true
	case "flavor":
		c.NoFlavor = true
	default:
		c.NoVolume = append(c.NoVolume, q.id)
	}
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
	if state, _, _ := client.State(); state != pod.Away && f.seen.holds(s) && f.sized(q) {
		return true, nil
	}
	return f.hasNow(ctx, client, by, q)
}

func (f *Fleet) hasNow(ctx context.Context, client *pod.Client, by identity.Caller, q question) (bool, error) {
	err := f.ask(ctx, client, by, q)
	switch {
	case err == nil:
		f.seen.add(sighting{client.Name(), by.ProjectID, q})
		return true, nil
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Forbidden), fault.Is(err, fault.Invalid):
		return false, nil
	}
	return false, err
}

// sized reports whether nothing is left to learn of a flavor.
func (f *Fleet) sized(q question) bool { return q.kind != "flavor" || f.sizes.find(q.id) != nil }

func (f *Fleet) ask(ctx context.Context, client *pod.Client, by identity.Caller, q question) error {
	get := func(service pod.Service, path string, out any) error {
		return client.JSON(ctx, pod.Request{Service: service, Method: http.MethodGet, Path: path,
			As: &by, Timeout: f.askTimeout(), Op: "find " + q.kind + " " + q.id}, nil, out)
	}
	id := url.PathEscape(q.id)
	switch q.kind {
	case "image":
		return askImage(q.id, func(out any) error { return get(pod.Image, "/images/"+id, out) })
	case "flavor":
		return f.askFlavor(q.id, func(path string, out any) error { return get(pod.Compute, path, out) })
	}
	return get(pod.Volume, "/volumes/"+id, nil)
}

// askImage finds the image. A pod that does not have its data yet does not have it.
func askImage(id string, get func(out any) error) error {
	var out struct {
		Status string `json:"status"`
	}
	if err := get(&out); err != nil {
		return err
	}
	switch out.Status {
	case "queued", "saving", "uploading", "importing", "killed":
		return fault.New(fault.NotFound, "", "image %s is %s", id, out.Status)
	}
	return nil
}

// askFlavor finds the flavor and, unless that is known, its size.
func (f *Fleet) askFlavor(id string, get func(path string, out any) error) error {
	var out struct {
		Flavor struct {
			VCPUs     int `json:"vcpus"`
			RAM       int `json:"ram"`
			Disk      int `json:"disk"`
			Ephemeral int `json:"OS-FLV-EXT-DATA:ephemeral"`
		}
	}
	path := "/flavors/" + url.PathEscape(id)
	if err := get(path, &out); err != nil {
		return err
	}
	if f.sizes.find(id) != nil {
		return nil
	}
	var extra struct {
		Specs map[string]string `json:"extra_specs"`
	}
	// Who may not see the specs may still use the flavor: its size is not relied on.
	err := get(path+"/os-extra_specs", &extra)
	f.sizes.add(id, Size{VCPUs: out.Flavor.VCPUs, RAM: out.Flavor.RAM, Disk: out.Flavor.Disk + out.Flavor.Ephemeral,
		Odd: err != nil || odd(extra.Specs)})
	return nil
}
