package store

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/topology"
)

// record declares a resource that is one row of one table. The columns are the
// fields of T with a `db` tag: text, numbers, flags, times and addresses as
// themselves, anything else as JSON. T embeds topology.Standard.
//
// Lists filter and sort by each column that is not JSON, under the name in its
// `api` tag, else the column's; further fields go into shape.fields. A *int is a
// number that may be NULL.
type record[T any] struct {
	shape
	// counts is what quotas call it; empty: they do not count it.
	counts string
	// shares is what RBAC policies call it; empty: they are not about it. The column
	// shared is the policy for all.
	shares string
	// check runs in the transaction of a change before it is written. before is
	// nil on creation, after on deletion. It may complete after.
	check func(ctx context.Context, tx *Tx, before, after *T) error
	// saved runs when it is written: rows that go with it, jobs for the pods.
	saved func(ctx context.Context, tx *Tx, before, after *T) error
	// load adds what is in other tables.
	load func(ctx context.Context, tx *Tx, all []T) error

	columns []recordColumn
}

type recordColumn struct {
	name  string
	index []int // of the field
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	addrType   = reflect.TypeFor[netip.Addr]()
	prefixType = reflect.TypeFor[netip.Prefix]()
)

// newRecord completes a declaration out of T's tags.
func newRecord[T any](r record[T]) *record[T] {
	further := r.fields
	r.fields = map[string]field{}
	t := reflect.TypeFor[T]()
	for _, f := range reflect.VisibleFields(t) {
		name, ok := f.Tag.Lookup("db")
		if !ok {
			continue
		}
		r.columns = append(r.columns, recordColumn{name, f.Index})
		r.shape.columns = append(r.shape.columns, "t."+name)
		attribute := name
		if api := f.Tag.Get("api"); api != "" {
			attribute = api
		}
		if kind, ok := fieldKindOf(f.Type); ok {
			r.fields[attribute] = field{expr: "t." + name, kind: kind}
		}
	}
	maps.Copy(r.fields, further)
	if r.shares != "" {
		r.visible, r.fields["shared"] = ownOrShared, sharedField("t.id", "t.shared")
	}
	if r.visible == nil {
		r.visible = func(project string) []arm { return []arm{own(project)} }
	}
	return &r
}

// checked is the record with a check that itself reads rows of it.
func (r *record[T]) checked(check func(ctx context.Context, tx *Tx, before, after *T) error) *record[T] {
	with := *r
	with.check = check
	return &with
}

func fieldKindOf(t reflect.Type) (fieldKind, bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == timeType, t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return number, true
	case t == addrType, t == prefixType, t.Kind() == reflect.String:
		return text, true
	case t.Kind() == reflect.Bool:
		return flag, true
	}
	return 0, false
}

// bind is the field as a statement's argument.
func bind(v reflect.Value) any {
	t := v.Type()
	switch {
	case t == timeType:
		return v.Interface()
	case t == addrType:
		return asAddr(v.Interface().(netip.Addr))
	case t == prefixType:
		return asPrefix(v.Interface().(netip.Prefix))
	case t.Kind() == reflect.Pointer && v.IsNil():
		return nil
	case t.Kind() == reflect.Pointer:
		return bind(v.Elem())
	case t.Kind() == reflect.String:
		return v.String()
	case t.Kind() == reflect.Bool:
		return v.Bool()
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return v.Int()
	}
	return asJSON(v.Interface())
}

// into is where a column is scanned to. p points to the field.
func into(p reflect.Value) any {
	switch at := p.Interface().(type) {
	case *time.Time:
		return intoTime(at)
	case *netip.Addr:
		return intoAddr(at)
	case *netip.Prefix:
		return prefixColumn{at}
	}
	if _, ok := fieldKindOf(p.Type().Elem()); ok {
		return p.Interface()
	}
	return intoJSON(p.Interface())
}

func asPrefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

type prefixColumn struct{ p *netip.Prefix }

func (c prefixColumn) Scan(src any) error {
	*c.p = netip.Prefix{}
	text := fmt.Sprint(src)
	if b, ok := src.([]byte); ok {
		text = string(b)
	}
	if text == "" {
		return nil
	}
	var err error
	*c.p, err = netip.ParsePrefix(text)
	return err
}

func (r *record[T]) scan(row scanner) (v T, err error) {
	at := reflect.ValueOf(&v).Elem()
	targets := make([]any, len(r.columns))
	for i, c := range r.columns {
		targets[i] = into(at.FieldByIndex(c.index).Addr())
	}
	err = row.Scan(targets...)
	return v, err
}

func (r *record[T]) args(v *T) []any {
	at := reflect.ValueOf(v).Elem()
	args := make([]any, len(r.columns))
	for i, c := range r.columns {
		args[i] = bind(at.FieldByIndex(c.index))
	}
	return args
}

func standardOf[T any](v *T) *topology.Standard {
	return any(v).(interface{ Std() *topology.Standard }).Std()
}

// create writes a new row; the ID is kept if there is one.
func (r *record[T]) create(ctx context.Context, tx *Tx, v *T) error {
	s := standardOf(v)
	if s.ID == "" {
		s.ID = uuid.NewString()
	}
	s.CreatedAt = tx.now().UTC().Truncate(time.Microsecond) // as the column keeps it
	s.UpdatedAt, s.Revision = s.CreatedAt, 1
	if r.check != nil {
		if err := r.check(ctx, tx, nil, v); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, "INSERT INTO "+r.table+" ("+bare(&r.shape)+")\nVALUES ("+marks(len(r.columns))+")", r.args(v)...)
	if err != nil {
		return fmt.Errorf("cannot write into %s: %w", r.table, err)
	}
	return r.written(ctx, tx, nil, v)
}

// find reads one, whoever owns it. suffix is tx.forUpdate() or the like.
func (r *record[T]) find(ctx context.Context, tx *Tx, id, suffix string) (T, error) {
	v, err := byID(ctx, tx, &r.shape, id, r.scan, suffix)
	if err != nil || r.load == nil {
		return v, err
	}
	one := []T{v}
	err = r.load(ctx, tx, one)
	return one[0], err
}

// list reads those that the query selects.
func (r *record[T]) list(ctx context.Context, tx *Tx, q Query) ([]T, error) {
	all, err := query(ctx, tx, &r.shape, q, r.scan)
	if err != nil || r.load == nil || len(all) == 0 {
		return all, err
	}
	return all, r.load(ctx, tx, all)
}

// update changes one. What stays the same costs no revision.
func (r *record[T]) update(ctx context.Context, tx *Tx, id string, change func(*T) error) (T, error) {
	before, err := r.find(ctx, tx, id, tx.forUpdate())
	if err != nil {
		return before, err
	}
	after := before
	if err := change(&after); err != nil || reflect.DeepEqual(before, after) {
		return after, err
	}
	if r.check != nil {
		if err := r.check(ctx, tx, &before, &after); err != nil {
			return after, err
		}
	}
	s := standardOf(&after)
	s.UpdatedAt, s.Revision = tx.now(), s.Revision+1
	set := make([]string, len(r.columns))
	for i, c := range r.columns {
		set[i] = c.name + " = ?"
	}
	_, err = tx.Exec(ctx, "UPDATE "+r.table+"\nSET "+strings.Join(set, ", ")+"\nWHERE id = ?", append(r.args(&after), id)...)
	if err != nil {
		return after, fmt.Errorf("cannot change a row of %s: %w", r.table, err)
	}
	return after, r.written(ctx, tx, &before, &after)
}

// remove deletes one. allow may refuse; nil allows.
func (r *record[T]) remove(ctx context.Context, tx *Tx, id string, allow func(*T) error) error {
	v, err := r.find(ctx, tx, id, tx.forUpdate())
	if err != nil {
		return err
	}
	if allow != nil {
		if err := allow(&v); err != nil {
			return err
		}
	}
	if r.check != nil {
		if err := r.check(ctx, tx, &v, nil); err != nil {
			return err
		}
	}
	if err := dropRow(ctx, tx, r.table, id); err != nil {
		return fmt.Errorf("cannot delete from %s: %w", r.table, err)
	}
	return r.written(ctx, tx, &v, nil)
}

// written does what comes with a change, and reads what it may have made.
func (r *record[T]) written(ctx context.Context, tx *Tx, before, after *T) error {
	if err := r.share(ctx, tx, before, after); err != nil {
		return err
	}
	if r.saved != nil {
		if err := r.saved(ctx, tx, before, after); err != nil {
			return err
		}
	}
	if r.load == nil || after == nil {
		return nil
	}
	one := []T{*after}
	err := r.load(ctx, tx, one)
	*after = one[0]
	return err
}

// Records are all of one kind of resource.
type Records[T any] struct {
	store  *Store
	record *record[T]
}

// List returns those that the query selects.
func (r Records[T]) List(ctx context.Context, q Query) (all []T, err error) {
	err = r.store.read(ctx, func(tx *Tx) error {
		all, err = r.record.list(ctx, tx, q)
		return err
	})
	return all, err
}

// Find returns one, whoever owns it, or fault.NotFound.
func (r Records[T]) Find(ctx context.Context, id string) (v T, err error) {
	err = r.store.read(ctx, func(tx *Tx) error {
		v, err = r.record.find(ctx, tx, id, "")
		return err
	})
	return v, err
}

// Create makes them, all or none.
func (r Records[T]) Create(ctx context.Context, all []T) (made []T, err error) {
	err = r.store.write(ctx, func(tx *Tx) error {
		if r.record.counts != "" {
			err := admit(ctx, tx, r.record.counts, perProject(all, func(v *T) string { return standardOf(v).ProjectID }))
			if err != nil {
				return err
			}
		}
		made = slices.Clone(all)
		for i := range made {
			if err := r.record.create(ctx, tx, &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

// Update changes one. change must not change what the value shares with others:
// it replaces slices and maps.
func (r Records[T]) Update(ctx context.Context, id string, change func(*T) error) (v T, err error) {
	err = r.store.write(ctx, func(tx *Tx) error {
		v, err = r.record.update(ctx, tx, id, change)
		return err
	})
	return v, err
}

// Delete deletes one. allow may refuse; nil allows.
func (r Records[T]) Delete(ctx context.Context, id string, allow func(*T) error) error {
	return r.store.write(ctx, func(tx *Tx) error { return r.record.remove(ctx, tx, id, allow) })
}
