package dispatch

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
)

// source is one pod's part of a list, in order.
type source struct {
	listing *listing
	name    string
	own     bool // the region's own rows
	number  int
	client  Pod
	attempt *attempt // to open it

	rows []row // not yet taken
	// taken is the last row that went out, or else the marker: nothing at or
	// before it may follow.
	taken   position
	shown   []string // IDs of the rows that went out
	recent  []string // IDs of the last rows fetched, the last one first
	more    bool
	size    int
	skipped bool  // the marker is in a later pod of a grouped list
	err     error // why the pod is away

	header  http.Header
	members map[string][]byte
	page    *page
}

// position is a place in the order.
type position struct {
	id   string // empty: the beginning
	keys []value
	pod  string            // where the row is
	near map[string]string // rows of other pods just before it, known exactly
}

func (p position) is() bool { return p.id != "" }

// begin puts the source at the place where the list begins.
func (s *source) begin() {
	l := s.listing
	s.taken = l.after
	if l.order.grouped && s.name != l.after.pod {
		s.skipped = l.after.is() && s.name < l.after.pod
		s.taken = position{}
	}
}

// open gets the first page.
func (s *source) open(ctx context.Context) {
	if s.skipped {
		return
	}
	l := s.listing
	client, err := l.d.Client(ctx, s.name)
	if err == nil {
		s.client = client
		err = s.load(ctx, l.markers(ctx, s.name))
	}
	if err == nil {
		s.header, s.members = s.page.header, s.page.members
		if l.Unique {
			err = s.readAll(ctx)
		} else {
			err = s.fill(ctx)
		}
	}
	if err != nil {
		s.fail(ctx, err)
	}
}

// load fetches one page after the first of the markers that the pod still knows;
// with none, from the beginning. Rows up to the place taken are dropped, so a
// marker that is too early costs time only. After an exact marker none are: what
// the pod puts there is the pod's order, if not ours (Nova lists servers that it
// has not scheduled yet before all others).
func (s *source) load(ctx context.Context, markers iter.Seq[string]) error {
	pg, exact, err := s.fetchAfter(ctx, markers)
	if err != nil {
		return err
	}
	if !s.listing.Unique { // there the rows of all pages wait
		s.listing.free(s.page)
	}
	s.page, s.more = pg, pg.more && len(pg.rows) > 0
	if s.rows = pg.rows; !exact {
		s.rows = s.beyond(pg.rows)
	}
	if len(pg.rows) > 0 {
		s.recent = []string{pg.rows[len(pg.rows)-1].id}
		if len(pg.rows) > 1 {
			s.recent = append(s.recent, pg.rows[len(pg.rows)-2].id)
		}
	}
	if hide := s.listing.Hide; hide != nil {
		s.rows = slices.DeleteFunc(s.rows, func(r row) bool { return hide(r.raw) })
	}
	for i := range s.rows {
		s.rows[i].pod = s.number
	}
	return nil
}

// fetchAfter tries the markers in turn. exact means that the page begins right
// after the last row that went out.
func (s *source) fetchAfter(ctx context.Context, markers iter.Seq[string]) (pg *page, exact bool, err error) {
	for marker := range markers {
		pg, err := s.listing.fetch(ctx, s.client, marker, s.size)
		// Without an order there is no other way to find the place.
		if err == nil || !unknownMarker(err) || s.listing.order.grouped {
			return pg, marker == s.taken.id && s.taken.pod == s.name, err
		}
	}
	pg, err = s.listing.fetch(ctx, s.client, "", s.size)
	return pg, false, err
}

// unknownMarker reports whether the pod may have refused because of the marker.
func unknownMarker(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.err.Upstream != nil &&
		(r.err.Upstream.Status == http.StatusBadRequest || r.err.Upstream.Status == http.StatusNotFound)
}

// beyond drops the leading rows that are not after the place taken. Only the
// leading ones: should the pod's order differ from ours, nothing gets lost.
func (s *source) beyond(rows []row) []row {
	if !s.taken.is() || s.listing.order.grouped || s.listing.Unique {
		return rows
	}
	i := slices.IndexFunc(rows, func(r row) bool { return s.listing.order.compare(r.keys, s.taken.keys) > 0 })
	if i < 0 {
		return nil
	}
	return rows[i:]
}

// fill makes sure that there is a row, if the pod has one left.
func (s *source) fill(ctx context.Context) error {
	for len(s.rows) == 0 && s.more {
		s.size = min(2*s.size, s.listing.PageSize)
		if err := s.load(ctx, slices.Values(s.recent)); err != nil {
			return err
		}
	}
	return nil
}

// readAll reads the pod's whole list.
func (s *source) readAll(ctx context.Context) error {
	all := s.rows
	for s.more {
		s.rows = nil
		if err := s.load(ctx, slices.Values(s.recent)); err != nil {
			s.rows = all
			return err
		}
		all = append(all, s.rows...)
	}
	s.rows = all
	return nil
}

// take removes the first row.
func (s *source) take() row {
	r := s.rows[0]
	s.rows = s.rows[1:]
	s.taken = position{id: r.id, keys: r.keys, pod: s.name}
	if s.listing.Placeholder != nil {
		s.shown = append(s.shown, r.id)
	}
	return r
}

// refill prepares the next row; a pod that fails now is away from here on.
func (s *source) refill(ctx context.Context) error {
	if s.err != nil || s.skipped || s.client == nil {
		return nil
	}
	if err := s.fill(ctx); err != nil {
		s.fail(ctx, err)
		if s.listing.Strict {
			return s.listing.unavailable([]Trouble{{s.name, err}})
		}
	}
	return nil
}

// fail makes the pod away: what the index knows of it takes the place of its rows.
func (s *source) fail(ctx context.Context, err error) {
	l := s.listing
	s.err, s.more = err, false
	if s.attempt != nil && s.attempt.left.Load() {
		return // the list has gone on without it
	}
	if _, refused := errors.AsType[*refusal](err); !refused && ctx.Err() == nil {
		l.d.Log.Warn("pod is missing in a list", "pod", s.name, "list", l.Field, "request_id", l.By.RequestID, "error", err)
	}
	if l.Placeholder == nil || l.Kind == "" {
		return
	}
	for e := range l.known(ctx, s) {
		if l.Limit > 0 && len(s.rows) >= l.Limit+l.Skip && l.byTime() && l.order.ofEntry(e)[0] != s.rows[len(s.rows)-1].keys[0] {
			break // what follows is behind the end of the list
		}
		// A row that went out may have another place by the index's account.
		if e.ID == s.taken.id || slices.Contains(s.shown, e.ID) {
			continue
		}
		raw := l.Placeholder(e)
		keys := l.order.ofEntry(e)
		if raw == nil || s.taken.is() && !l.order.grouped && !l.Unique && l.order.compare(keys, s.taken.keys) <= 0 {
			continue
		}
		s.rows = append(s.rows, row{raw: raw, id: e.ID, keys: keys, pod: s.number, unknown: true})
	}
	if l.order.grouped && s.taken.is() {
		s.rows = nil // which of them have been shown cannot be told
	}
	slices.SortFunc(s.rows, func(a, b row) int { return l.order.compare(a.keys, b.keys) })
}

// locate finds the place of the client's marker.
func (l *listing) locate(ctx context.Context) error {
	if l.Marker == "" || l.Unique {
		return nil
	}
	if p, ok := l.d.cursors.get(l.cursorKey(l.Marker)); ok {
		l.after = p
		return nil
	}
	for _, o := range l.Own {
		if o.ID == l.Marker {
			l.after = position{id: o.ID, keys: l.keysOf(o.Raw)}
			return nil
		}
	}
	if l.FindMarker != nil {
		return l.findMarker(ctx)
	}
	if l.Kind == "" {
		return l.noMarker()
	}
	found, err := l.d.find(ctx, l.By, l.Kind, l.Marker)
	switch {
	case err == nil:
		l.after = position{id: l.Marker, keys: l.keysOf(found.raw), pod: found.pod}
		return nil
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Unavailable), fault.Is(err, fault.Timeout):
		e, indexErr := l.d.Index.FindEntry(ctx, l.Kind, l.Marker)
		if indexErr == nil && (e.ProjectID == l.By.ProjectID || l.By.IsAdmin()) && l.order.indexed() {
			l.after = position{id: l.Marker, keys: l.order.ofEntry(e), pod: e.Pod}
			return nil
		}
		if fault.Is(err, fault.NotFound) {
			return l.noMarker()
		}
	}
	return err
}

// keysOf are the keys of one row.
func (l *listing) keysOf(raw []byte) []value {
	r, keys := newReader(l.order, l.idPath()), make([]value, len(l.order.keys))
	(&scanner{b: raw}).members(r.names, r.found)
	r.read(keys)
	return keys
}

func (l *listing) findMarker(ctx context.Context) error {
	p, err := l.FindMarker(ctx, l.Marker)
	if fault.Is(err, fault.NotFound) {
		return l.noMarker()
	}
	if err != nil {
		return err
	}
	l.after = position{id: p.ID, keys: l.keysOf(p.Raw), pod: p.Pod}
	return nil
}

// markers are IDs of the pod that come before the place where the list begins,
// the nearest first. The index is read only if the first is not taken.
func (l *listing) markers(ctx context.Context, podName string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !l.after.is() || l.order.grouped && podName != l.after.pod || l.Unique {
			return
		}
		near := l.after.near[podName]
		if podName == l.after.pod {
			near = l.after.id
		}
		if near != "" && !yield(near) {
			return
		}
		for _, id := range l.indexed(ctx, podName) {
			if !yield(id) {
				return
			}
		}
	}
}
