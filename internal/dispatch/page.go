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

	"github.com/go-json-experiment/json/jsontext"
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
	body, err := l.readAll(resp)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: p.Name(), Message: "cannot list " + l.Field + ": its answer broke off", Err: err}
	}
	pg := &page{header: resp.Header, members: map[string][]byte{}}
	if resp.Request != nil {
		pg.asked = resp.Request.URL
	}
	if err := l.parse(pg, body); err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: p.Name(), Message: "cannot list " + l.Field + ": its answer is not a list", Err: err}
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
	if size > 0 {
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
func (l *listing) readAll(resp *http.Response) ([]byte, error) {
	buf := l.d.buffers.get()
	l.mu.Lock()
	l.held = append(l.held, buf)
	l.mu.Unlock()
	if n := resp.ContentLength; n > 0 && n < maxPage {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxPage+1))
	if err == nil && n > maxPage {
		err = fmt.Errorf("more than %d bytes", maxPage)
	}
	return buf.Bytes(), err
}

// release gives the pages' memory back. No row may be used after it.
func (l *listing) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, buf := range l.held {
		l.d.buffers.put(buf)
	}
	l.held = nil
}

// parse finds the rows. Their bytes stay as they are: duplicate names and invalid
// UTF-8 are the pod's business.
func (l *listing) parse(pg *page, body []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if kind := dec.PeekKind(); kind != '{' {
		return fmt.Errorf("it begins with %q", kind)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	found := false
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		member := name.String()
		if member == l.Field && dec.PeekKind() == '[' {
			found = true
			if err := l.parseRows(pg, dec, body); err != nil {
				return err
			}
			continue
		}
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		pg.members[member] = bytes.Clone(value)
	}
	if _, err := dec.ReadToken(); err != nil { // the closing brace
		return err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows it: %w", err)
	}
	if !found {
		return fmt.Errorf("no %q in it", l.Field)
	}
	pg.more = hasNext(pg.members[l.Next])
	return nil
}

func (l *listing) parseRows(pg *page, dec *jsontext.Decoder, body []byte) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	keys := len(l.order.keys)
	var arena []value
	for dec.PeekKind() == '{' {
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		end := dec.InputOffset()
		raw = body[end-int64(len(raw)) : end : end]
		if len(arena) < keys {
			arena = make([]value, 64*keys)
		}
		r := row{raw: raw, id: gjson.GetBytes(raw, l.idPath()).String(), keys: arena[:keys:keys]}
		arena = arena[keys:]
		if r.id == "" {
			return fmt.Errorf("a row without %q", l.idPath())
		}
		for i, k := range l.order.keys {
			r.keys[i] = k.ofRow(raw)
		}
		pg.rows = append(pg.rows, r)
	}
	_, err := dec.ReadToken() // the closing bracket, or what should not be there
	return err
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
