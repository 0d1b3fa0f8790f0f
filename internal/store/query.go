package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// Query selects, orders and pages a list of the topology.
type Query struct {
	// Filters holds, per attribute, the values of which one must match; all
	// attributes must match.
	Filters map[string][]string
	// ProjectID limits the list to what the project may see: its own and what is
	// shared with it. Empty is all, for admins.
	ProjectID string
	// Asker is the project of who asks, also of an admin: "shared" means with it.
	Asker string
	Sort  []SortKey // then by ID
	Limit int       // 0: all
	// Marker is the ID of the last one of the page before. fault.NotFound if the
	// project cannot see it.
	Marker      string
	PageReverse bool // the page before the marker
}

// SortKey is an attribute to sort by.
type SortKey struct {
	Name string
	Desc bool
}

// chunk is how many IDs go into one IN list.
const chunk = 500

// shape describes one resource's table to the list builder. "t" is the table's
// name in all expressions.
type shape struct {
	table   string
	columns []string // of t
	fields  map[string]field
	visible func(project string) []arm
	missing func(id string) error
	// anyMarker begins at the start of the list after a marker that the project
	// cannot see, as Neutron does with its newer resources.
	anyMarker bool
}

// field is an attribute to filter and sort by.
type field struct {
	expr string
	kind fieldKind
	// match replaces the comparison for filters that are not one.
	match func(values []string) (string, []any)
	// asked is match where the answer depends on the project of who asks.
	asked func(project string, values []string) (string, []any)
}

type fieldKind int

const (
	text fieldKind = iota
	number
	flag
)

// arm is one of several ways in which a row is visible. Each is served by an
// index of its own; together they name no row twice.
type arm struct {
	where string
	args  []any
}

var everything = []arm{{where: "1 = 1"}}

func (sh *shape) arms(project string) []arm {
	if project == "" {
		return everything
	}
	return sh.visible(project)
}

// own is the first arm of most resources.
func own(project string) arm { return arm{"t.project_id = ?", []any{project}} }

// page is the SQL that selects the query's rows, in order: each arm's share of
// the page out of its own index, then the page out of the shares.
func (sh *shape) page(ctx context.Context, tx *Tx, q Query) (string, []any, error) {
	keys, err := sh.sortKeys(q)
	if err != nil {
		return "", nil, err
	}
	where, args, err := sh.filters(q)
	if err != nil {
		return "", nil, err
	}
	after, afterArgs, err := sh.after(ctx, tx, q, keys)
	if err != nil {
		return "", nil, err
	}
	arms := sh.arms(q.ProjectID)
	columns := strings.Join(sh.columns, ", ")
	if len(arms) > 1 {
		columns += keys.selected()
	}
	var shares []string
	var all []any
	for i, a := range arms {
		share := "SELECT " + columns + "\nFROM " + sh.table + " t\nWHERE " + a.where + where + after +
			"\nORDER BY " + keys.order(sortKey.ofRow) + limit(q.Limit)
		if len(arms) > 1 {
			share = "SELECT * FROM (" + share + ") arm" + strconv.Itoa(i)
		}
		shares = append(shares, share)
		all = append(append(append(all, a.args...), args...), afterArgs...)
	}
	if len(arms) == 1 {
		return shares[0], all, nil
	}
	return "SELECT " + bare(sh) + "\nFROM (" + strings.Join(shares, "\nUNION ALL\n") + ") page" +
		"\nORDER BY " + keys.order(sortKey.ofPage) + limit(q.Limit), all, nil
}

func limit(n int) string {
	if n <= 0 {
		return ""
	}
	return " LIMIT " + strconv.Itoa(n)
}

// sortKeys are the expressions to sort by; the last one is the ID.
type sortKeys []sortKey

type sortKey struct {
	expr string
	name string // in the subquery
	desc bool
}

func (sh *shape) sortKeys(q Query) (sortKeys, error) {
	var keys sortKeys
	for i, k := range q.Sort {
		f, ok := sh.fields[k.Name]
		if !ok || f.expr == "" {
			return nil, fault.New(fault.Invalid, "", "%s cannot be sorted by %q", sh.table, k.Name)
		}
		if f.expr == "t.id" {
			return append(keys, sortKey{"t.id", "id", k.Desc != q.PageReverse}), nil
		}
		keys = append(keys, sortKey{f.expr, "k" + strconv.Itoa(i), k.Desc != q.PageReverse})
	}
	return append(keys, sortKey{"t.id", "id", q.PageReverse}), nil
}

func (k sortKey) ofRow() string  { return k.expr }
func (k sortKey) ofPage() string { return k.name }

// selected are the keys that are no columns, to sort the page by.
func (keys sortKeys) selected() string {
	var b strings.Builder
	for _, k := range keys[:len(keys)-1] {
		b.WriteString(", " + k.expr + " AS " + k.name)
	}
	return b.String()
}

func (keys sortKeys) exprs() []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.expr
	}
	return all
}

func (keys sortKeys) order(of func(sortKey) string) string {
	columns := make([]string, len(keys))
	for i, k := range keys {
		columns[i] = of(k)
		if k.desc {
			columns[i] += " DESC"
		}
	}
	return strings.Join(columns, ", ")
}

// after is the condition that a row comes after the marker.
func (sh *shape) after(ctx context.Context, tx *Tx, q Query, keys sortKeys) (string, []any, error) {
	if q.Marker == "" {
		return "", nil, nil
	}
	values, err := sh.marker(ctx, tx, q, keys)
	if sh.anyMarker && fault.Is(err, fault.NotFound) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	// (a > ?) OR (a = ? AND b > ?) OR ..., with < for descending keys.
	var or []string
	var args []any
	for i, k := range keys {
		var and []string
		for j := range i {
			and = append(and, keys[j].expr+" = ?")
			args = append(args, values[j])
		}
		sign := " > ?"
		if k.desc {
			sign = " < ?"
		}
		or = append(or, strings.Join(append(and, k.expr+sign), " AND "))
		args = append(args, values[i])
	}
	if len(or) == 1 {
		return "\nAND " + or[0], args, nil
	}
	return "\nAND ((" + strings.Join(or, ") OR (") + "))", args, nil
}

func (sh *shape) marker(ctx context.Context, tx *Tx, q Query, keys sortKeys) ([]any, error) {
	for _, a := range sh.arms(q.ProjectID) {
		values := make([]any, len(keys))
		into := make([]any, len(keys))
		for i := range values {
			into[i] = &values[i]
		}
		_, err := find(ctx, tx, errNoRow, func(row scanner) (struct{}, error) { return struct{}{}, row.Scan(into...) },
			"SELECT "+strings.Join(keys.exprs(), ", ")+" FROM "+sh.table+" t WHERE t.id = ? AND "+a.where, append([]any{q.Marker}, a.args...)...)
		if !errors.Is(err, errNoRow) {
			return values, err
		}
	}
	return nil, sh.missing(q.Marker)
}

// errNoRow never leaves the package.
var errNoRow = errors.New("no row")

func (sh *shape) filters(q Query) (string, []any, error) {
	filters := q.Filters
	var where strings.Builder
	var args []any
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		if condition, values, ok := sh.tagCondition(name, filters[name]); ok {
			where.WriteString("\nAND " + condition)
			args = append(args, values...)
			continue
		}
		f, ok := sh.fields[name]
		if !ok {
			return "", nil, fault.New(fault.Invalid, "", "%s cannot be filtered by %q", sh.table, name)
		}
		condition, values := f.condition(filters[name])
		if f.asked != nil {
			condition, values = f.asked(q.Asker, filters[name])
		}
		where.WriteString("\nAND " + condition)
		args = append(args, values...)
	}
	return where.String(), args, nil
}

func (f field) condition(values []string) (string, []any) {
	if f.match != nil {
		return f.match(values)
	}
	var args []any
	for _, v := range values {
		switch f.kind {
		case text:
			args = append(args, v)
		case flag:
			args = append(args, v == "true")
		case number:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				args = append(args, n)
			}
		}
	}
	if len(args) == 0 {
		return "1 = 0", nil
	}
	return f.expr + " IN (" + marks(len(args)) + ")", args
}

// marks is "?, ?, ..." for n values.
func marks(n int) string { return strings.Repeat(", ?", n)[2:] }

// anyOf turns IDs into arguments.
func anyOf(ids []string) []any {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return args
}

// query runs the query and scans its rows, in the order that was asked for:
// a page before the marker is selected backwards.
func query[T any](ctx context.Context, tx *Tx, sh *shape, q Query, scan func(scanner) (T, error)) ([]T, error) {
	statement, args, err := sh.page(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	all, err := list(ctx, tx, scan, statement, args...)
	if q.PageReverse {
		slices.Reverse(all)
	}
	return all, err
}

// byID finds one row.
func byID[T any](ctx context.Context, tx *Tx, sh *shape, id string, scan func(scanner) (T, error), suffix string) (T, error) {
	return find(ctx, tx, sh.missing(id), scan,
		"SELECT "+strings.Join(sh.columns, ", ")+" FROM "+sh.table+" t WHERE t.id = ?"+suffix, id)
}

// details runs a query for the rows that belong to the owners, in portions.
// statement ends where the IN list begins, and order follows it.
func details(ctx context.Context, tx *Tx, ids []string, statement, order string, scan func(scanner) error) error {
	for part := range slices.Chunk(ids, chunk) {
		_, err := list(ctx, tx, func(row scanner) (struct{}, error) { return struct{}{}, scan(row) },
			statement+" IN ("+marks(len(part))+") "+order, anyOf(part)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// ids are the IDs of the things, and where each is.
func ids[T any](all []T, id func(*T) string) ([]string, map[string]*T) {
	names := make([]string, len(all))
	where := make(map[string]*T, len(all))
	for i := range all {
		names[i] = id(&all[i])
		where[names[i]] = &all[i]
	}
	return names, where
}
