package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/release"
	"github.com/tricircle/tricircle/internal/store"
)

// List is one merged list: what the pods are asked and how their answers become
// one.
type List struct {
	By      identity.Caller
	Service pod.Service
	Path    string      // "/servers/detail"
	Query   url.Values  // the client's, without limit, marker and order
	Header  http.Header // goes to the pods: the microversion
	Pods    []string    // nil: all

	Kind  string // of store.Kind*; rows are recorded and markers found by it; may be empty
	Field string // "servers": the member that holds the rows
	Next  string // "servers_links": the member whose presence means that there is more; none: a full page does
	ID    string // where a row has its ID; default "id"

	// Sort is the total order; its last key is the ID. SortQuery says it in the
	// service's words, so that the pods agree with us.
	Sort      []Key
	SortQuery func([]Key) url.Values

	Limit    int    // rows to give; 0: all
	Skip     int    // rows to leave out after the marker
	PageSize int    // the most to ask of a pod at once; default 1000
	Marker   string // the ID after which to begin
	// NoMarker is the error for a marker that nobody knows; nil: Nova's 400.
	NoMarker func(id string) error
	// FindMarker finds the row that a marker names, where neither Kind nor the row's
	// ID as the pod shows it will do. fault.NotFound: nobody knows it.
	FindMarker func(ctx context.Context, id string) (Place, error)

	// Unique lists show an ID once although several pods have it (images): the
	// row of its home, or of the first pod by name. All pods are read whole for that.
	Unique bool
	// Whole lists have no pages: each pod gives all it has at once. Limit and Skip
	// hold for the merged list.
	Whole bool

	// Strict makes a pod that is away an error.
	Strict bool
	// Placeholder makes the row for a thing whose pod is away; nil where the API
	// has no way to say that, or for an entry that the filters exclude.
	Placeholder func(store.Entry) []byte
	// AllProjects lets placeholders come from all projects, not the caller's only.
	AllProjects bool

	// Own are rows of the region itself, which no pod has yet: they take their place
	// among the others. Hide leaves out rows of pods: those that show the same again.
	Own  []Own
	Hide func(raw []byte) bool

	// Rewrite appends the row as clients shall see it; nil: as it is.
	Rewrite func(dst []byte, row Row) []byte
	// Tail appends the members that follow the rows, each with a comma before it.
	Tail func(dst []byte, s Summary) []byte
}

// Place is where a row is.
type Place struct {
	Pod string
	ID  string // as the pod shows it
	Raw []byte // the row; not needed for a list that only has the pods' own order
}

// Own is a row that no pod has.
type Own struct {
	ID    string
	Raw   []byte // as a pod would show it: the order is read from it
	Shown []byte // as clients shall see it
}

// Row is a row on its way out.
type Row struct {
	Raw   []byte // not to be kept
	ID    string
	Pod   string
	Asked *url.URL // the address whose answer it is from; nil if from the index
}

// Summary is what is known when the last row is out.
type Summary struct {
	Count  int
	LastID string
	// Full means that the limit ended the list. As in Nova that does not prove
	// that there is more.
	Full bool
	// Members are the other members of each pod's first answer.
	Members []map[string][]byte
}

// Trouble is a pod that took no part.
type Trouble struct {
	Pod string
	Err error
}

// Result is a list on its way out.
type Result struct {
	// Header is the end-to-end header of the first pod that answered.
	Header http.Header
	// Away are the pods that were away when the list began.
	Away []Trouble

	listing *listing
	buffer  bytes.Buffer
	done    bool
}

// Unreachable names the pods that were away.
func (r *Result) Unreachable() []string {
	names := make([]string, len(r.Away))
	for i, t := range r.Away {
		names[i] = t.Pod
	}
	return names
}

// Untold says what pods of an old release could not tell of their rows.
func (r *Result) Untold() []string {
	var untold []string
	for _, s := range r.listing.sources {
		untold = append(untold, s.header[release.UntoldHeader]...)
	}
	return untold
}

const (
	defaultPageSize = 1000
	// early is how much of the list is made before the reply begins: troubles up
	// to there still reach headers and status.
	early = 256 << 10
	chunk = 64 << 10
)

// listing is a list at work.
type listing struct {
	List
	d       *Dispatcher
	ctx     context.Context // of the request that the list answers
	order   order
	sources []*source
	after   position
	merge   *merge
	members []map[string][]byte
	header  http.Header

	mu   sync.Mutex
	held map[*bytes.Buffer]bool // of the pages whose rows are not all out
}

// List asks the pods and begins to merge. It fails when the request is wrong in
// the pods' opinion, when nobody can answer, or when a pod is away and Strict is
// set.
func (d *Dispatcher) List(ctx context.Context, o List) (*Result, error) {
	if o.PageSize <= 0 {
		o.PageSize = defaultPageSize
	}
	o.Strict = o.Strict || d.Strict
	l := &listing{List: o, d: d, ctx: ctx, order: newOrder(o.Sort), held: map[*bytes.Buffer]bool{}}
	if err := l.locate(ctx); err != nil {
		return nil, err
	}
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	result := &Result{Header: l.header, listing: l}
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	result.buffer.WriteString(`{"` + o.Field + `": [`)
	done, err := l.merge.run(ctx, &result.buffer, early)
	if err != nil {
		return nil, err
	}
	result.done = done
	result.Away = l.away()
	return result, nil
}

// WriteTo sends the list. An error means that it is not complete and must not
// look so.
//
// It can be called once.
func (r *Result) WriteTo(w io.Writer) (int64, error) {
	l := r.listing
	defer l.release()
	var sent int64
	for {
		if r.done {
			r.buffer.WriteByte(']')
			if l.Tail != nil {
				r.buffer.Write(l.Tail(nil, l.merge.summary()))
			}
			r.buffer.WriteByte('}')
		}
		n, err := r.buffer.WriteTo(w)
		sent += n
		if err != nil || r.done {
			return sent, err
		}
		if r.done, err = l.merge.run(l.ctx, &r.buffer, chunk); err != nil {
			return sent, err
		}
	}
}

// open gets every pod's first page.
func (l *listing) open(ctx context.Context) error {
	names, err := l.d.names(ctx, l.Pods)
	if err != nil {
		return err
	}
	names = slices.Sorted(slices.Values(names))
	size := l.firstSize(len(names))
	for i, name := range names {
		s := &source{listing: l, name: name, number: i, size: size}
		s.begin()
		l.sources = append(l.sources, s)
	}
	l.openAll(ctx)
	if err := l.judge(); err != nil || len(l.Own) == 0 {
		return err
	}
	l.sources = append(l.sources, l.own(len(l.sources)))
	return nil
}

// own is the source of the region's own rows. Where a list has only the pods' own
// order they come first.
func (l *listing) own(number int) *source {
	s := &source{listing: l, number: number, own: true}
	for _, o := range l.Own {
		r := row{raw: o.Shown, id: o.ID, keys: l.keysOf(o.Raw), pod: number, unknown: true}
		if !l.after.is() || !l.order.grouped && l.order.compare(r.keys, l.after.keys) > 0 {
			s.rows = append(s.rows, r)
		}
	}
	if !l.order.grouped {
		slices.SortFunc(s.rows, func(a, b row) int { return l.order.compare(a.keys, b.keys) })
		return s
	}
	if at := slices.IndexFunc(l.Own, func(o Own) bool { return o.ID == l.after.id }); at >= 0 {
		for _, o := range l.Own[at+1:] {
			s.rows = append(s.rows, row{raw: o.Shown, id: o.ID, pod: number, unknown: true})
		}
	}
	return s
}

// firstSize is how many rows a pod is asked for at first: twice its share, since
// asking again costs more than a few rows too many.
func (l *listing) firstSize(pods int) int {
	if l.Limit <= 0 || l.Unique || pods == 0 {
		return l.PageSize
	}
	wanted := l.Limit + l.Skip
	if pods == 1 {
		return min(wanted, l.PageSize)
	}
	return min(max(2*wanted/pods, 20), wanted, l.PageSize)
}

// judge decides whether the pods' first answers make a list.
func (l *listing) judge() error {
	var refused *fault.Error
	answered, empty := false, 0
	var troubles []Trouble
	for _, s := range l.sources {
		if s.err == nil {
			answered = true
			if l.header == nil {
				l.header = s.header
			}
			if s.members != nil {
				l.members = append(l.members, s.members)
			}
			continue
		}
		if r, ok := errors.AsType[*refusal](s.err); ok {
			if refused == nil {
				refused = r.err
			}
			continue
		}
		troubles = append(troubles, Trouble{s.name, s.err})
		empty++
	}
	switch {
	case answered && l.Strict && (len(troubles) > 0 || refused != nil):
		return l.unavailable(l.away())
	case answered || len(l.sources) == 0:
		return nil
	case refused != nil:
		all := *refused
		all.Pod = "" // it is the request that is wrong, not one pod's matter
		return &all
	case l.Placeholder != nil && !l.Strict:
		return nil
	}
	return l.unavailable(troubles)
}

func (l *listing) noMarker() error {
	if l.NoMarker != nil {
		return l.NoMarker(l.Marker)
	}
	return fault.New(fault.Invalid, "", "marker [%s] not found", l.Marker)
}

func (l *listing) unavailable(troubles []Trouble) error {
	texts := make([]string, len(troubles))
	errs := make([]error, len(troubles))
	for i, t := range troubles {
		texts[i], errs[i] = describe(t), t.Err
	}
	return &fault.Error{
		Kind: fault.Unavailable, Err: errors.Join(errs...),
		Message: fmt.Sprintf("cannot list %s: %s", l.Field, strings.Join(texts, "; ")),
	}
}

func describe(t Trouble) string {
	if f, ok := errors.AsType[*fault.Error](t.Err); ok && f.Kind != fault.Internal {
		return "pod " + t.Pod + ": " + f.Message
	}
	return "pod " + t.Pod + " did not answer"
}

// away are the pods in trouble, also those that refused what others accepted.
func (l *listing) away() []Trouble {
	var troubles []Trouble
	for _, s := range l.sources {
		if s.err != nil {
			troubles = append(troubles, Trouble{s.name, s.err})
		}
	}
	return troubles
}

func (l *listing) idPath() string {
	if l.ID == "" {
		return "id"
	}
	return l.ID
}
