package store

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

type thing struct {
	topology.Standard
	Name   string         `db:"name"`
	On     bool           `db:"on_off"`
	Min    *int           `db:"least"`
	Size   int            `db:"size"`
	Addr   netip.Addr     `db:"addr"`
	Prefix netip.Prefix   `db:"prefix"`
	When   time.Time      `db:"at_time"`
	Words  []string       `db:"words"`
	Facts  map[string]any `db:"facts"`
	Loaded int
}

// TestRecord: a declared resource comes back from its table as it went in.
func TestRecord(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	refuse := errors.New("refused")
	var saved [][2]bool
	things := Records[thing]{s, newRecord(record[thing]{
		shape: shape{table: "things", missing: func(id string) error { return fault.New(fault.NotFound, "", "no %s", id) }},
		check: func(_ context.Context, _ *Tx, before, after *thing) error {
			if after != nil && after.Size < 0 || after == nil && before.On {
				return refuse
			}
			return nil
		},
		saved: func(_ context.Context, _ *Tx, before, after *thing) error {
			saved = append(saved, [2]bool{before != nil, after != nil})
			return nil
		},
		load: func(_ context.Context, _ *Tx, all []thing) error {
			for i := range all {
				all[i].Loaded = all[i].Size * 2
			}
			return nil
		},
	})}
	ctx := t.Context()
	err = s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE things (id TEXT PRIMARY KEY, project_id TEXT, description TEXT, created_at BIGINT, updated_at BIGINT,
			revision BIGINT, name TEXT, on_off BIGINT, least BIGINT, size BIGINT, addr TEXT, prefix TEXT, at_time BIGINT, words TEXT, facts TEXT)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	one := 1
	made, err := things.Create(ctx, []thing{
		{Standard: topology.Standard{ProjectID: "p"}, Name: "a", On: true, Min: &one, Size: 3, Addr: netip.MustParseAddr("10.0.0.1"),
			Prefix: netip.MustParsePrefix("10.0.0.0/8"), When: time.UnixMicro(5).UTC(), Words: []string{"x"}, Facts: map[string]any{"k": "v"}},
		{Standard: topology.Standard{ProjectID: "q"}, Name: "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range made {
		got, err := things.Find(ctx, want.ID)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("found %+v, %v\nwant %+v", got, err, want)
		}
	}
	if made[0].Revision != 1 || made[0].CreatedAt.IsZero() {
		t.Errorf("a new one begins with %+v", made[0].Standard)
	}
	for name, value := range map[string]string{"name": "a", "on_off": "true", "least": "1", "size": "3", "prefix": "10.0.0.0/8", "revision_number": "1"} {
		all, err := things.List(ctx, Query{ProjectID: "p", Filters: map[string][]string{name: {value}}, Sort: []SortKey{{Name: name}}})
		if err != nil || len(all) != 1 || all[0].Loaded != 6 {
			t.Errorf("by %s: %+v, %v", name, all, err)
		}
	}
	id := made[0].ID
	changed, err := things.Update(ctx, id, func(v *thing) error { v.Size = 4; return nil })
	if err != nil || changed.Revision != 2 || changed.Size != 4 {
		t.Errorf("changed: %+v, %v", changed, err)
	}
	if same, err := things.Update(ctx, id, func(*thing) error { return nil }); err != nil || same.Revision != 2 {
		t.Errorf("no change: %+v, %v", same, err)
	}
	if _, err := things.Update(ctx, id, func(v *thing) error { v.Size = -1; return nil }); !errors.Is(err, refuse) {
		t.Errorf("check on change: %v", err)
	}
	if _, err := things.Create(ctx, []thing{{Name: "c"}, {Name: "d", Size: -1}}); !errors.Is(err, refuse) {
		t.Errorf("check on creation: %v", err)
	}
	if all, err := things.List(ctx, Query{}); err != nil || len(all) != 2 {
		t.Errorf("half of a refused creation stays: %d, %v", len(all), err)
	}
	if err := things.Delete(ctx, id, nil); !errors.Is(err, refuse) {
		t.Errorf("check on deletion: %v", err)
	}
	if err := things.Delete(ctx, made[1].ID, func(*thing) error { return nil }); err != nil {
		t.Error(err)
	}
	if _, err := things.Find(ctx, made[1].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a deleted one: %v", err)
	}
	if want := [][2]bool{{false, true}, {false, true}, {true, true}, {false, true}, {true, false}}; !reflect.DeepEqual(saved, want) {
		t.Errorf("saved runs %v, want %v", saved, want)
	}
}
