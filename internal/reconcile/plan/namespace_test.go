package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

func TestNamespaceIn(t *testing.T) {
	t.Parallel()
	type parts = map[string]map[string]any
	space := func(description string, p parts) *plan.Namespace {
		return &plan.Namespace{Name: "n", Fields: map[string]any{"description": description}, Parts: p}
	}
	tags := func(names ...string) parts {
		all := map[string]any{}
		for _, name := range names {
			all[name] = map[string]any{"name": name}
		}
		return parts{"tags": all}
	}
	fields := map[string]any{"description": "d"}
	for _, test := range []struct {
		name        string
		want        *plan.Namespace
		told, found *plan.Namespace
		create      bool
		steps       []plan.NamespaceChange
	}{
		{"alike", space("d", tags("a")), space("d", tags("a")), space("d", tags("a")), true, nil},
		{"missing, not to be made", space("d", tags("a")), nil, nil, false, nil},
		{"missing", space("d", tags("a")), nil, nil, true, []plan.NamespaceChange{
			{Name: "n", Body: fields, New: true}, {Path: "tags", Name: "a", Body: map[string]any{"name": "a"}, New: true}}},
		{"changed in the region", space("d", tags("b")), space("old", tags("a")), space("old", tags("a")), true, []plan.NamespaceChange{
			{Name: "n", Body: fields}, {Path: "tags", Name: "a"}, {Path: "tags", Name: "b", Body: map[string]any{"name": "b"}, New: true}}},
		{"changed in the pod by hand: stays", space("d", tags("a")), space("d", tags("a")), space("hand", tags("a", "own")), true, nil},
		{"done already", space("d", tags("b")), space("old", tags("a")), space("d", tags("b")), true, nil},
	} {
		got := plan.NamespaceIn(*test.want, test.told, test.found, test.create)
		if diff := cmp.Diff(test.steps, got); diff != "" {
			t.Errorf("%s: NamespaceIn (-want +got):\n%s", test.name, diff)
		}
	}
}
