package podtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Fault is one way in which a service misbehaves. Which requests it concerns:
// Service, Method and Path (a regular expression), each empty for any. Path is
// held against "/" + service + the URL's path: ^/network/v2.0/ports$.
//
// What happens: a Delay first, Before, then at most one of the rest in the
// order of the fields, else the work, then After, then the reply. A fault in a body
// takes effect alone.
type Fault struct {
	Service string
	Method  string
	Path    string
	Nth     int // of the requests that it concerns; 0: all
	Times   int // at most so often; 0: no bound

	Delay       time.Duration
	Before      func(*http.Request)
	DropRequest bool // the connection is cut, nothing is done
	Hang        bool // no answer until the client gives up or the fault is removed
	Status      int  // this reply, nothing is done
	Body        string
	Garbage     bool                // 200 with something that is no JSON, nothing is done
	DropReply   bool                // the work is done, then the connection is cut
	CutBody     int64               // the connection is cut after so many bytes of the request's body
	CutReply    int64               // the connection is cut after so many bytes of the reply's body
	Spoil       bool                // the reply's body has another first byte
	After       func(*http.Request) // the work is done, the reply not yet sent
}

// Call is one request that a service got.
type Call struct{ Service, Method, Path string }

// faults are the faults and the calls of one pod.
type faults struct {
	mu     sync.Mutex
	active []*fault
	calls  []Call
}

type fault struct {
	Fault
	path    *regexp.Regexp
	seen    int
	fired   int
	removed chan struct{}
}

func (f *faults) add(spec Fault) (remove func()) {
	entry := &fault{Fault: spec, path: regexp.MustCompile(spec.Path), removed: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = append(f.active, entry)
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.active = slices.DeleteFunc(f.active, func(o *fault) bool { return o == entry })
		close(entry.removed)
	})
}

func (f *faults) list() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *faults) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

// firing notes a request and finds the faults that it meets.
func (f *faults) firing(service string, r *http.Request) []*fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{service, r.Method, r.URL.Path})
	var out []*fault
	for _, e := range f.active {
		if e.Service != "" && e.Service != service || e.Method != "" && e.Method != r.Method {
			continue
		}
		if !e.path.MatchString("/" + service + r.URL.Path) {
			continue
		}
		e.seen++
		if e.Nth > 0 && e.seen != e.Nth || e.Times > 0 && e.fired >= e.Times {
			continue
		}
		e.fired++
		out = append(out, e)
	}
	return out
}

// wrap puts the faults in front of a service.
func (f *faults) wrap(service string, next http.Handler, quit <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits := f.firing(service, r)
		if len(hits) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		for _, e := range hits {
			if !e.before(w, r, quit) {
				return
			}
		}
		if spoiled(next, hits, w, r) {
			return
		}
		work := httptest.NewRecorder()
		next.ServeHTTP(work, r)
		for _, e := range hits {
			if e.After != nil {
				e.After(r)
			}
			if e.DropReply {
				cut(w)
				return
			}
		}
		for k, v := range work.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(work.Code)
		_, _ = w.Write(work.Body.Bytes())
	})
}

// spoiled does the work for a fault that lies in a body. Bodies may be long, so they
// are not gathered.
func spoiled(next http.Handler, hits []*fault, w http.ResponseWriter, r *http.Request) bool {
	at := slices.IndexFunc(hits, func(e *fault) bool { return e.CutBody > 0 || e.CutReply > 0 || e.Spoil })
	if at < 0 {
		return false
	}
	e := hits[at]
	out := &badReply{ResponseWriter: w, left: e.CutReply, spoil: e.Spoil}
	if e.CutBody > 0 {
		r = r.Clone(r.Context())
		r.Body = &badBody{ReadCloser: r.Body, left: e.CutBody}
		next.ServeHTTP(httptest.NewRecorder(), r)
		cut(w)
		return true
	}
	next.ServeHTTP(out, r)
	if out.over {
		cut(w)
	}
	return true
}

// badBody breaks off.
type badBody struct {
	io.ReadCloser
	left int64
}

func (b *badBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// badReply passes on so many bytes of a body, or a body with another first byte.
type badReply struct {
	http.ResponseWriter
	left  int64 // 0: all
	spoil bool
	over  bool
}

func (b *badReply) Write(p []byte) (int, error) {
	if b.over {
		return 0, io.ErrClosedPipe
	}
	if b.spoil && len(p) > 0 {
		p = slices.Clone(p)
		p[0] ^= 1
		b.spoil = false
	}
	if b.left == 0 {
		return b.ResponseWriter.Write(p)
	}
	part := p[:min(int64(len(p)), b.left)]
	n, err := b.ResponseWriter.Write(part)
	if b.left -= int64(n); b.left == 0 {
		b.over = true
		_ = http.NewResponseController(b.ResponseWriter).Flush() // what was written is to arrive
		return n, io.ErrClosedPipe
	}
	return n, err
}

// Unwrap lets the connection be cut.
func (b *badReply) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// before does what comes before the work; false means there is none.
func (e *fault) before(w http.ResponseWriter, r *http.Request, quit <-chan struct{}) bool {
	if e.Delay > 0 {
		timer := time.NewTimer(e.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-e.removed:
		case <-r.Context().Done():
		case <-quit:
		}
	}
	if e.Before != nil {
		e.Before(r)
	}
	switch {
	case e.DropRequest:
		cut(w)
	case e.Hang:
		select {
		case <-e.removed:
			return true
		case <-r.Context().Done():
		case <-quit:
		}
		cut(w)
	case e.Status != 0:
		answer(w, e.Status, e.Body)
	case e.Garbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{\"oops\": <html>"))
	default:
		return true
	}
	return false
}

func answer(w http.ResponseWriter, status int, body string) {
	contentType := "application/json"
	if body == "" {
		contentType = "text/html"
		body = "<html><body><h1>" + http.StatusText(status) + "</h1>\nThe server is having a bad day.\n</body></html>\n"
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// cut closes the connection without a reply.
func cut(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	conn, _, err := control.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 or a test recorder: the server closes it
	}
	_ = conn.Close()
}
