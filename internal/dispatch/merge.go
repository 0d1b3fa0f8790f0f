package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/store"
)

// merge takes rows from the sources in order.
type merge struct {
	listing *listing
	heap    []*source // those with a row, the first row on top
	last    *source   // took part last; its next row is not in the heap yet
	place   position  // of the last row
	count   int
	skipped int
	zones   map[string]string
}

// begin makes the merge of the sources' first rows.
func (l *listing) begin(ctx context.Context) error {
	m := &merge{listing: l}
	l.merge = m
	if pods, err := l.d.Pods(ctx); err == nil {
		m.zones = make(map[string]string, len(pods))
		for _, p := range pods {
			m.zones[p.Name] = p.Zone
		}
	}
	sources := l.sources
	if l.Unique {
		one, err := l.unite(ctx)
		if err != nil {
			return err
		}
		sources = []*source{one}
	}
	for _, s := range sources {
		m.push(s)
	}
	return nil
}

// unite makes one source of all.
func (l *listing) unite(ctx context.Context) (*source, error) {
	homes, err := l.homes(ctx)
	if err != nil {
		return nil, err
	}
	one := &source{listing: l, rows: l.distinct(homes)}
	slices.SortStableFunc(one.rows, func(a, b row) int { return l.order.compare(a.keys, b.keys) })
	if l.Marker == "" {
		return one, nil
	}
	i := slices.IndexFunc(one.rows, func(r row) bool { return r.id == l.Marker })
	if i < 0 {
		return nil, l.noMarker()
	}
	one.rows = one.rows[i+1:]
	return one, nil
}

// homes are those of the rows' images that are on record.
func (l *listing) homes(ctx context.Context) (map[string]store.Image, error) {
	if l.Kind != store.KindImage {
		return nil, nil
	}
	var ids []string
	for _, s := range l.sources {
		for _, r := range s.rows {
			ids = append(ids, r.id)
		}
	}
	slices.Sort(ids)
	return l.d.Index.FindImages(ctx, slices.Compact(ids))
}

// distinct has each ID once. The home's row is the truth: what it leaves out, by
// the filters or because the caller may not see it any more, no copy brings back.
// While the home is away a copy speaks for it, if it is whole. What was deleted
// may be left over in a pod, and is not shown. Of what is not on record the first
// pod's row counts.
func (l *listing) distinct(homes map[string]store.Image) []row {
	answered := map[string]bool{}
	for _, s := range l.sources {
		answered[s.name] = s.err == nil
	}
	var rows []row
	seen := map[string]bool{}
	for _, s := range l.sources {
		for _, r := range s.rows {
			i, known := homes[r.id]
			stale := known && (i.Deleted || i.Home != s.name && (answered[i.Home] || !active(r.raw)))
			if !stale && !seen[r.id] {
				seen[r.id] = true
				rows = append(rows, r)
			}
		}
	}
	return rows
}

func active(raw []byte) bool { return gjson.GetBytes(raw, "status").Str == store.ImageActive }

// run appends rows to buf until it holds about budget bytes; done means that the
// last one is in.
func (m *merge) run(ctx context.Context, buf *bytes.Buffer, budget int) (done bool, err error) {
	l := m.listing
	for buf.Len() < budget {
		if l.Limit > 0 && m.count == l.Limit {
			m.remember()
			return true, nil
		}
		if m.last != nil {
			if err := m.last.refill(ctx); err != nil {
				return false, err
			}
			m.push(m.last)
			m.last = nil
		}
		if len(m.heap) == 0 {
			return true, nil
		}
		m.last = m.pop()
		m.write(buf, m.last)
	}
	return false, nil
}

func (m *merge) write(buf *bytes.Buffer, s *source) {
	l := m.listing
	r := s.take()
	from := l.sources[r.pod]
	if m.skipped < l.Skip {
		m.skipped++
		return
	}
	if m.count > 0 {
		buf.WriteString(", ")
	}
	m.count++
	m.place = position{id: r.id, keys: r.keys, pod: from.name}
	if r.unknown {
		buf.Write(r.raw)
		return
	}
	if l.Kind != "" {
		l.d.observer.observe(l.Kind, r, from.name, m.zones[from.name], l.By)
	}
	if l.Rewrite == nil {
		buf.Write(r.raw)
		return
	}
	out := Row{Raw: r.raw, ID: r.id, Pod: from.name}
	if from.page != nil {
		out.Asked = from.page.asked
	}
	buf.Write(l.Rewrite(buf.AvailableBuffer(), out))
}

func (m *merge) summary() Summary {
	l := m.listing
	return Summary{Count: m.count, LastID: m.place.id, Full: l.Limit > 0 && m.count == l.Limit, Members: l.members}
}

// before orders sources by their first rows.
func (m *merge) before(a, b *source) bool {
	l := m.listing
	if l.order.grouped {
		return a.own && !b.own || a.own == b.own && a.number < b.number
	}
	if c := l.order.compare(a.rows[0].keys, b.rows[0].keys); c != 0 {
		return c < 0
	}
	return cmp.Less(a.number, b.number)
}

func (m *merge) push(s *source) {
	if len(s.rows) == 0 {
		return
	}
	m.heap = append(m.heap, s)
	for i := len(m.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !m.before(m.heap[i], m.heap[parent]) {
			return
		}
		m.heap[i], m.heap[parent] = m.heap[parent], m.heap[i]
		i = parent
	}
}

func (m *merge) pop() *source {
	top, end := m.heap[0], len(m.heap)-1
	m.heap[0] = m.heap[end]
	m.heap = m.heap[:end]
	for i := 0; ; {
		child := 2*i + 1
		if child >= end {
			return top
		}
		if child+1 < end && m.before(m.heap[child+1], m.heap[child]) {
			child++
		}
		if !m.before(m.heap[child], m.heap[i]) {
			return top
		}
		m.heap[i], m.heap[child] = m.heap[child], m.heap[i]
		i = child
	}
}

// remember keeps where every pod stood when the page was full: the next request
// names the last row, and each other pod needs a marker of its own. Another
// replica does without: it finds markers in the index, or reads more rows.
func (m *merge) remember() {
	l := m.listing
	if l.Unique || l.order.grouped || !m.place.is() {
		return
	}
	p := m.place
	p.near = map[string]string{}
	for _, s := range l.sources {
		switch {
		case s.taken.pod == s.name && s.taken.is():
			p.near[s.name] = s.taken.id
		case l.after.near[s.name] != "":
			p.near[s.name] = l.after.near[s.name]
		}
	}
	p.keys = slices.Clone(p.keys) // not the page's whole arena
	l.d.cursors.put(l.cursorKey(p.id), p)
}

// cursorKey: a place is valid for whoever sees the same rows in the same order.
func (l *listing) cursorKey(id string) string {
	var b strings.Builder
	for _, part := range []string{l.By.ProjectID, l.Kind, l.Field, id} {
		b.WriteString(part)
		b.WriteByte('|')
	}
	for _, k := range l.Sort {
		b.WriteString(k.Name)
		if k.Desc {
			b.WriteByte('-')
		}
		b.WriteByte(',')
	}
	return b.String()
}

// cursors keeps the places where pages ended, the latest few thousand.
type cursors struct {
	mu       sync.Mutex
	new, old map[string]position
}

const cursorsKept = 2000

func newCursors() *cursors { return &cursors{new: map[string]position{}} }

func (c *cursors) get(key string) (position, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.new[key]; ok {
		return p, true
	}
	p, ok := c.old[key]
	return p, ok
}

func (c *cursors) put(key string, p position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.new) >= cursorsKept {
		c.old, c.new = c.new, map[string]position{}
	}
	c.new[key] = p
}
