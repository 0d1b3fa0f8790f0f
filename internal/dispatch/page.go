package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// maxPage bounds the bytes of one pod's page.
const maxPage = 64 << 20

// row is one item of a list.
type row struct {
	raw  []byte // as the pod wrote it
	id   string
	keys []value
	pod  int // index of its source

	unknown bool // out of the index
}

// page is one answer of one pod, all of it: a body that breaks off or is garbage
// is found before any of its rows go out, and a slow client does not keep the
// pod's connection.
type page struct {
	header  http.Header
	asked   *url.URL
	rows    []row
	more    bool
	members map[string][]byte // the answer's other members
	buf     *bytes.Buffer     // holds the rows
}

// refusal is a pod's 4xx.
type refusal struct{ err *fault.Error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// fetch asks a pod for one page. An answer of 4xx is a *refusal; any other error
// means that the pod is away.
func (l *listing) fetch(ctx context.Context, p Pod, marker string, size int) (*page, error) {
	ctx, cancel := context.WithTimeout(ctx, l.d.Timeout)
	defer cancel()
	query := l.query(marker, size)
	resp, err := p.Do(ctx, pod.Request{
		Service: l.Service, Method: http.MethodGet, Path: l.Path, Query: query, Header: l.Header, As: &l.By,
		Timeout: l.d.Timeout, Op: "list " + l.Field,
	})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return nil, l.refused(p, resp)
	}
	buf, err := l.readAll(resp)
	body := buf.Bytes()
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: p.Name(), Message: "cannot list " + l.Field + ": its answer broke off", Err: err}
	}
	pg := &page{header: resp.Header, members: map[string][]byte{}, buf: buf}
	if resp.Request != nil {
		pg.asked = resp.Request.URL
	}
	if err := l.parse(pg, body); err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: p.Name(), Message: "cannot list " + l.Field + ": its answer is not a list", Err: err}
	}
	switch {
	case l.Whole:
	case l.Next == "":
		pg.more = size > 0 && len(pg.rows) >= size
	default:
		pg.more = hasNext(pg.members[l.Next])
	}
	return pg, nil
}

func (l *listing) refused(p Pod, resp *http.Response) error {
	err := pod.Upstream(p.Name(), "list "+l.Field, resp)
	f, ok := errors.AsType[*fault.Error](err)
	if ok && resp.StatusCode < 500 && resp.StatusCode != http.StatusRequestTimeout && resp.StatusCode != http.StatusTooManyRequests {
		return &refusal{f}
	}
	return err
}

// query is what the pod is asked: the client's filters, the region's order, and
// the part of the list that is wanted.
func (l *listing) query(marker string, size int) url.Values {
	query := url.Values{}
	for name, values := range l.Query {
		query[name] = values
	}
	if l.SortQuery != nil {
		for name, values := range l.SortQuery(l.Sort) {
			query[name] = values
		}
	}
	if size > 0 && !l.Whole {
		query.Set("limit", strconv.Itoa(size))
	}
	if marker != "" {
		query.Set("marker", marker)
	}
	return query
}

// buffers are those of pages that have been sent; megabytes each, and every list
// needs one per pod.
type buffers struct{ pool sync.Pool }

const maxPooled = 8 << 20

func (b *buffers) get() *bytes.Buffer {
	if buf, ok := b.pool.Get().(*bytes.Buffer); ok {
		return buf
	}
	return new(bytes.Buffer)
}

func (b *buffers) put(buf *bytes.Buffer) {
	if buf.Cap() <= maxPooled {
		buf.Reset()
		b.pool.Put(buf)
	}
}

// readAll reads a page; the bytes are valid until release.
func (l *listing) readAll(resp *http.Response) (*bytes.Buffer, error) {
	buf := l.d.buffers.get()
	l.mu.Lock()
	l.held[buf] = true
	l.mu.Unlock()
	if n := resp.ContentLength; n > 0 && n < maxPage {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxPage+1))
	if err == nil && n > maxPage {
		err = fmt.Errorf("more than %d bytes", maxPage)
	}
	return buf, err
}

// free gives the page's memory back, once all its rows are out.
func (l *listing) free(pg *page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pg != nil && l.held[pg.buf] {
		delete(l.held, pg.buf)
		l.d.buffers.put(pg.buf)
	}
}

// release gives the memory of all pages back. No row may be used after it.
func (l *listing) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for buf := range l.held {
		l.d.buffers.put(buf)
	}
	clear(l.held)
}

// parse finds the rows. Their bytes stay as they are.
func (l *listing) parse(pg *page, body []byte) error {
	s := &scanner{b: body}
	found := false
	if s.take('{') {
		s.elements('}', func() {
			name := s.name()
			if string(name) == l.Field && s.next() == '[' {
				found = true
				l.parseRows(pg, s)
				return
			}
			pg.members[string(name)] = bytes.Clone(s.value(1))
		})
	} else {
		s.fail()
	}
	switch {
	case s.failed(), s.next() != 0, s.at != len(body):
		return errJSON
	case !found:
		return fmt.Errorf("no %q in it", l.Field)
	}
	for _, r := range pg.rows {
		if r.id == "" {
			return fmt.Errorf("a row without %q", l.idPath())
		}
	}
	return nil
}

// parseRows walks through the list that comes next.
func (l *listing) parseRows(pg *page, s *scanner) {
	keys, reader := len(l.order.keys), newReader(l.order, l.idPath())
	var arena []value // of many rows' keys
	s.at++            // the bracket
	s.elements(']', func() {
		raw := s.members(reader.names, reader.found)
		if raw == nil {
			return
		}
		if len(arena) < keys {
			arena = make([]value, 64*keys)
		}
		r := row{raw: raw, keys: arena[:keys:keys]}
		arena = arena[keys:]
		r.id = reader.read(r.keys)
		pg.rows = append(pg.rows, r)
	})
}

// hasNext reads the three forms of a next link: Nova's and Cinder's list of
// links, Glance's address, and none.
func hasNext(member []byte) bool {
	if len(member) == 0 {
		return false
	}
	r := gjson.ParseBytes(member)
	if r.Type == gjson.String {
		return r.Str != ""
	}
	return r.Get(`#(rel=="next")`).Exists()
}
