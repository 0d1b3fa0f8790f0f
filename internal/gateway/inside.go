package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
)

// Question is what one service of the region asks another.
type Question struct {
	Method string
	Path   string // from the service's prefix on, escaped: "/network/v2.0/ports"
	Query  url.Values
	Header http.Header
	Body   []byte // JSON, unless Header says otherwise
}

// Answer is what the other service said, whatever the status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Inside asks the region's own services in a caller's name, by a call in this
// process. The caller gets what he would get by asking himself: same checks, same
// errors, and the same request ID as the request that it is for. Open must come
// before the first question.
type Inside struct{ handler http.Handler }

// Open says who answers.
func (i *Inside) Open(h http.Handler) { i.handler = h }

// Do puts the question. An error means that there is no whole answer.
func (i *Inside) Do(ctx context.Context, by identity.Caller, q Question) (a Answer, err error) {
	address := url.URL{Scheme: "http", Host: "inside", RawQuery: q.Query.Encode()}
	address.Path, err = url.PathUnescape(q.Path)
	if err != nil {
		return a, err
	}
	address.RawPath = q.Path
	r, err := http.NewRequestWithContext(ctx, q.Method, address.String(), bytes.NewReader(q.Body))
	if err != nil {
		return a, err
	}
	if q.Header != nil {
		r.Header = q.Header.Clone()
	}
	if r.Header.Get("Content-Type") == "" && len(q.Body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("X-Auth-Token", by.Token)
	page := &page{header: http.Header{}}
	defer func() {
		// The gateway cuts a connection by this panic; here there is none to cut.
		if v := recover(); v != nil {
			if cut, ok := v.(error); !ok || !errors.Is(cut, http.ErrAbortHandler) {
				panic(v)
			}
			a, err = Answer{}, fault.New(fault.Unavailable, "", "%s %s: the answer broke off", q.Method, q.Path)
		}
	}()
	i.handler.ServeHTTP(page, r)
	if page.Len() > MaxRewrite {
		return a, fault.New(fault.Unavailable, "", "%s %s: the answer is too large", q.Method, q.Path)
	}
	return Answer{Status: page.status, Header: page.header, Body: page.Bytes()}, nil
}

// page is a reply in memory.
type page struct {
	bytes.Buffer
	header http.Header
	status int
}

func (p *page) Header() http.Header { return p.header }

func (p *page) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
	}
}

func (p *page) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	if p.Len() > MaxRewrite {
		return len(b), nil // too large already; the rest is not kept
	}
	return p.Buffer.Write(b)
}
