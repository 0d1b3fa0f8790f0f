package release

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/pod"
)

// maxBody bounds what is read of a request or an answer to bring it to another
// version.
const maxBody = 64 << 20

// Around does a request to a pod in a version that the pod speaks. It is meant
// for pod.Options.Around. Requests that name no version, or go to other services,
// pass.
func (b *Book) Around(ctx context.Context, c *pod.Client, r pod.Request, do pod.Doer) (*http.Response, error) {
	if r.Service != pod.Compute || len(r.Header) == 0 || strings.HasPrefix(r.Path, "//") {
		return do(ctx, r)
	}
	asked, ok := versionOf(r.Header)
	if !ok {
		return do(ctx, r)
	}
	if asked != (microversion.Version{Major: 2, Minor: 1}) {
		b.Learn(ctx, []*pod.Client{c})
	}
	speaks, ok := b.Of(c.Name())
	if !ok || speaks.Has(asked) {
		resp, err := do(ctx, r)
		if err == nil && resp.StatusCode == http.StatusNotAcceptable {
			b.doubt(c.Name())
		}
		return resp, err
	}
	plan, err := lower(&r, asked, speaks)
	if err != nil {
		return nil, refusal(c.Name(), speaks, err)
	}
	resp, err := do(ctx, r)
	if err != nil {
		return nil, err
	}
	return raise(c.Name(), resp, plan, asked)
}

// Check says why a request of that kind cannot be done in the pod in the version
// asked; nil if it can, or if the pod's versions are not known.
func (b *Book) Check(podName string, c Call, asked microversion.Version) error {
	speaks, ok := b.Of(podName)
	if !ok || speaks.Has(asked) {
		return nil
	}
	if asked.Less(speaks.Min) {
		return refusal(podName, speaks, tooOld(asked))
	}
	if _, err := Lower(c, asked, speaks.Max); err != nil {
		return refusal(podName, speaks, err)
	}
	return nil
}

func tooOld(asked microversion.Version) error {
	return fault.New(fault.NotAcceptable, "", "not in %s any more", asked)
}

func versionOf(h http.Header) (microversion.Version, bool) {
	text, given := microversion.Asked(h, string(pod.Compute), legacyHeader)
	if !given {
		return microversion.Version{}, false
	}
	return microversion.Parse(text)
}

// lower changes the request to the version that the pod speaks.
func lower(r *pod.Request, asked microversion.Version, speaks microversion.Window) (Plan, error) {
	if asked.Less(speaks.Min) {
		return Plan{}, tooOld(asked)
	}
	call, err := callOf(r)
	if err != nil {
		return Plan{}, err
	}
	plan, err := Lower(call, asked, speaks.Max)
	if err != nil {
		return plan, err
	}
	r.Header = r.Header.Clone()
	r.Header.Set(versionHeader, string(pod.Compute)+" "+speaks.Max.String())
	r.Header.Set(legacyHeader, speaks.Max.String())
	return plan, nil
}

// callOf reads the request's body, and puts it back.
func callOf(r *pod.Request) (Call, error) {
	c := Call{Method: r.Method, Path: r.Path, Query: r.Query, Admin: r.As == nil || r.As.IsAdmin()}
	if c.Query == nil {
		c.Query, _ = url.ParseQuery(r.RawQuery) // what is malformed is for the pod to refuse
	}
	if r.Body == nil || r.Body == http.NoBody {
		return c, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return c, err
	}
	if closer, ok := r.Body.(io.Closer); ok {
		_ = closer.Close() // all of it has been read
	}
	c.Body, r.Body, r.Length = body, bytes.NewReader(body), int64(len(body))
	return c, nil
}

// raise brings the pod's answer to the version asked.
func raise(podName string, resp *http.Response, plan Plan, asked microversion.Version) (*http.Response, error) {
	resp.Header.Set(versionHeader, string(pod.Compute)+" "+asked.String())
	resp.Header.Set(legacyHeader, asked.String())
	if resp.StatusCode >= 300 || !plan.Changes() {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: podName, Message: "the answer broke off", Err: err}
	}
	a := &Answer{Status: resp.StatusCode, Location: resp.Header.Get("Location"), Body: body}
	plan.Raise(a)
	resp.StatusCode, resp.Status = a.Status, ""
	resp.Header.Del("Location")
	if a.Location != "" {
		resp.Header.Set("Location", a.Location)
	}
	if len(a.Untold) > 0 {
		resp.Header.Set(UntoldHeader, podName+": "+strings.Join(a.Untold, ", "))
	}
	if len(a.Body) > 0 && resp.Header.Get("Content-Type") == "" {
		resp.Header.Set("Content-Type", "application/json")
	}
	if a.Status == http.StatusNoContent {
		a.Body = nil
	}
	resp.ContentLength = int64(len(a.Body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(a.Body)))
	resp.Body = io.NopCloser(bytes.NewReader(a.Body))
	return resp, nil
}
