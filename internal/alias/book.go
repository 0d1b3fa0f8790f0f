package alias

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// Book knows the pairs of every pod. It is safe for concurrent use.
type Book struct {
	// since reads a pod's pairs that come after the number. Each request asks, as
	// another replica may have added one: nobody gets a second chance to see that a
	// server "is gone".
	since func(ctx context.Context, podName string, after int64) ([]Pair, error)

	mu   sync.Mutex
	pods map[string]*page
}

// page is one pod's pairs; it is never changed, only replaced.
type page struct {
	seq    int64
	ours   names                 // what to write for our IDs
	theirs names                 // what to write for the pod's
	of     map[pod.Service]names // and in services with names of their own, all theirs
}

// NewBook makes a Book that learns pairs from since.
func NewBook(since func(ctx context.Context, podName string, after int64) ([]Pair, error)) *Book {
	return &Book{since: since, pods: map[string]*page{}}
}

// Around does a request in the pod's words and gives the answer in ours. It is
// meant for pod.Options.Around.
func (b *Book) Around(ctx context.Context, c *pod.Client, r pod.Request, do pod.Doer) (*http.Response, error) {
	p, err := b.read(ctx, c.Name())
	if err != nil {
		return nil, pod.Refused(fault.Error{Kind: fault.Unavailable, Pod: c.Name(), Err: err,
			Message: "cannot find out what it calls things"})
	}
	if p == nil {
		return do(ctx, r)
	}
	theirs := p.spoken(r.Service)
	if err := p.request(&r, len(theirs) > 0); err != nil {
		return nil, err
	}
	resp, err := do(ctx, r)
	if err != nil {
		return nil, err
	}
	theirs.answer(resp)
	return resp, nil
}

// read is what is known of the pod by now; nil if it calls all things as we do.
func (b *Book) read(ctx context.Context, podName string) (*page, error) {
	b.mu.Lock()
	p := b.pods[podName]
	b.mu.Unlock()
	var after int64
	if p != nil {
		after = p.seq
	}
	news, err := b.since(ctx, podName, after)
	if err != nil || len(news) == 0 {
		return p, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p = b.pods[podName].with(news)
	b.pods[podName] = p
	return p, nil
}

func (p *page) with(news []Pair) *page {
	next := &page{ours: names{}, theirs: names{}, of: map[pod.Service]names{}}
	if p != nil {
		next.seq, next.ours, next.theirs = p.seq, maps.Clone(p.ours), maps.Clone(p.theirs)
		for service, n := range p.of {
			next.of[service] = maps.Clone(n)
		}
	}
	for _, pair := range news {
		next.seq = max(next.seq, pair.Seq)
		ours, ok := idOf(pair.ID)
		theirs, ok2 := idOf(pair.PodID)
		if ok && ok2 {
			next.ours[ours] = theirs
			next.learn(pair.Service, theirs, ours)
		}
	}
	return next
}

func (p *page) learn(service pod.Service, theirs, ours id) {
	if service != "" {
		if _, ok := p.of[service]; !ok {
			p.of[service] = maps.Clone(p.theirs)
		}
		p.of[service][theirs] = ours
		return
	}
	p.theirs[theirs] = ours
	for _, n := range p.of {
		n[theirs] = ours
	}
}

// spoken are the pod's IDs that come up in a service's answers.
func (p *page) spoken(service pod.Service) names {
	if n, ok := p.of[service]; ok {
		return n
	}
	return p.theirs
}

// request puts the pod's IDs into the request. read says that its answer will be
// searched.
func (p *page) request(r *pod.Request, read bool) error {
	r.Path, r.RawQuery = p.ours.text(r.Path), p.ours.text(r.RawQuery)
	r.Query = p.query(r.Query)
	if read && r.Header.Get("Accept-Encoding") != "" {
		// What the pod packs could not be read.
		r.Header = r.Header.Clone()
		r.Header.Del("Accept-Encoding")
	}
	return p.body(r)
}

func (p *page) query(q url.Values) url.Values {
	var out url.Values
	for name, values := range q {
		for i, v := range values {
			theirs := p.ours.text(v)
			if theirs == v {
				continue
			}
			if out == nil {
				out = maps.Clone(q)
			}
			out[name] = append([]string{}, out[name]...)
			out[name][i] = theirs
		}
	}
	if out == nil {
		return q
	}
	return out
}

// body keeps a body that is in memory there, so that it can be sent again.
func (p *page) body(r *pod.Request) error {
	if r.Body == nil || r.Body == http.NoBody || !isJSON(r.Header) {
		return nil
	}
	switch r.Body.(type) {
	case *bytes.Reader, *strings.Reader, *bytes.Buffer:
		all, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		p.ours.replace(all)
		r.Body, r.Length = bytes.NewReader(all), int64(len(all))
	default:
		r.Body = newStream(p.ours, r.Body)
	}
	return nil
}

// answer puts our IDs into the answer.
func (n names) answer(resp *http.Response) {
	if len(n) == 0 {
		return
	}
	if at := resp.Header.Get("Location"); at != "" {
		resp.Header.Set("Location", n.text(at))
	}
	packed := resp.Header.Get("Content-Encoding")
	if resp.Body == http.NoBody || !isJSON(resp.Header) || packed != "" && packed != "identity" {
		return
	}
	resp.Body = newStream(n, resp.Body)
}

// isJSON is true of JSON in all its names, such as that of Glance's patches.
func isJSON(h http.Header) bool { return strings.Contains(h.Get("Content-Type"), "json") }
