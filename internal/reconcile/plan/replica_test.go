package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
)

func text(s string) *string { return &s }

// size is a flavor of some size; change makes another one of it.
func size(change ...func(*Flavor)) *Flavor {
	f := &Flavor{ID: "f", Name: "f", RAM: 64, VCPUs: 1, Disk: 1, RxTx: 1, Public: true, ExtraSpecs: map[string]string{}}
	for _, c := range change {
		c(f)
	}
	return f
}

func spec(key, value string) func(*Flavor) { return func(f *Flavor) { f.ExtraSpecs[key] = value } }
func vcpus(n int64) func(*Flavor)          { return func(f *Flavor) { f.VCPUs = n } }
func described(s string) func(*Flavor)     { return func(f *Flavor) { f.Description = text(s) } }
func seenBy(projects ...string) func(*Flavor) {
	return func(f *Flavor) { f.Public, f.Projects = false, projects }
}

func TestFlavorIn(t *testing.T) {
	t.Parallel()
	big := size(vcpus(8), spec("a", "1"))
	for _, tt := range []struct {
		name              string
		want, told, found *Flavor
		create            bool
		is                FlavorChanges
	}{
		{"all alike", size(), size(), size(), true, FlavorChanges{}},
		{"missing", big, nil, nil, true, FlavorChanges{Create: big.body(), SetSpecs: map[string]string{"a": "1"}}},
		{"missing, and may be", big, nil, nil, false, FlavorChanges{}},
		{"gone from the pod", size(), size(), nil, true, FlavorChanges{Create: size().body()}},
		{"the operator's own", size(vcpus(2), spec("a", "1")), nil, size(), true, FlavorChanges{}},
		{"changed here", size(described("new"), spec("a", "2"), spec("b", "1")), size(described("old"), spec("a", "1"), spec("c", "1")),
			size(described("old"), spec("a", "1"), spec("c", "1")), true,
			FlavorChanges{Describe: true, Description: text("new"), SetSpecs: map[string]string{"a": "2", "b": "1"}, DropSpecs: []string{"c"}}},
		{"changed there", size(described("x"), spec("a", "1")), size(described("x"), spec("a", "1")), size(described("y"), spec("a", "2"), spec("b", "1")), true,
			FlavorChanges{}},
		{"changed here and there", size(spec("a", "1"), spec("b", "2")), size(spec("a", "1"), spec("b", "1")), size(spec("a", "9"), spec("b", "9")), true,
			FlavorChanges{SetSpecs: map[string]string{"b": "2"}}},
		{"changed to the same", size(spec("a", "2")), size(spec("a", "1")), size(spec("a", "2")), true, FlavorChanges{}},
		{"description taken away", size(), size(described("x")), size(described("x")), true, FlavorChanges{Describe: true}},
		{"access", size(seenBy("p", "q")), size(seenBy("o", "p")), size(seenBy("o", "p", "theirs")), true,
			FlavorChanges{Admit: []string{"q"}, Expel: []string{"o"}}},
		{"made anew", big, size(), size(), true, FlavorChanges{Delete: true, Create: big.body(), SetSpecs: map[string]string{"a": "1"}}},
		{"made anew, another one there", big, size(), size(vcpus(3)), true, FlavorChanges{SetSpecs: map[string]string{"a": "1"}}},
		{"another one there", size(spec("a", "1")), size(), size(vcpus(3)), true, FlavorChanges{SetSpecs: map[string]string{"a": "1"}}},
	} {
		if diff := cmp.Diff(tt.is, FlavorIn(*tt.want, tt.told, tt.found, tt.create)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestFlavorHas(t *testing.T) {
	t.Parallel()
	before, after := *size(spec("a", "1")), *size(described("x"))
	for _, tt := range []struct {
		found *Flavor
		want  bool
	}{
		{size(described("x")), true}, {size(described("x"), spec("own", "1")), true}, {size(spec("a", "1")), false},
		{size(described("x"), spec("a", "1")), false},
	} {
		if got := FlavorHas(before, after, *tt.found); got != tt.want {
			t.Errorf("FlavorHas(%+v) = %v", tt.found, got)
		}
	}
}

func TestReadFlavor(t *testing.T) {
	t.Parallel()
	got := ReadFlavor(gjson.Parse(`{"id": "f", "name": "n", "ram": 64, "vcpus": 2, "disk": 1, "swap": "", "OS-FLV-EXT-DATA:ephemeral": 3,
		"rxtx_factor": 1.5, "os-flavor-access:is_public": true, "description": null, "extra_specs": {"a": "1"}}`))
	want := Flavor{ID: "f", Name: "n", RAM: 64, VCPUs: 2, Disk: 1, Ephemeral: 3, RxTx: 1.5, Public: true, ExtraSpecs: map[string]string{"a": "1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ReadFlavor (-want +got):\n%s", diff)
	}
}

func TestKeypairIn(t *testing.T) {
	t.Parallel()
	key := func(text string) *Keypair { return &Keypair{UserID: "u", Name: "k", Type: "ssh", PublicKey: text} }
	for _, tt := range []struct {
		name              string
		want, told, found *Keypair
		create            bool
		remove, make      bool
	}{
		{"alike but for the comment", key("ssh-rsa A one"), nil, key("ssh-rsa A two"), true, false, false},
		{"missing", key("ssh-rsa A"), nil, nil, true, false, true},
		{"missing, and may be", key("ssh-rsa A"), nil, nil, false, false, false},
		{"the user's own there", key("ssh-rsa A"), nil, key("ssh-rsa B"), true, false, false},
		{"made anew", key("ssh-rsa B"), key("ssh-rsa A"), key("ssh-rsa A"), true, true, true},
		{"changed there", key("ssh-rsa A"), key("ssh-rsa A"), key("ssh-rsa B"), true, false, false},
		{"certificates", key("-----BEGIN CERTIFICATE-----\nA"), key("-----BEGIN CERTIFICATE-----\nB"), key("-----BEGIN CERTIFICATE-----\nB"), true, true, true},
	} {
		if remove, make := KeypairIn(*tt.want, tt.told, tt.found, tt.create); remove != tt.remove || make != tt.make {
			t.Errorf("%s: KeypairIn = %v, %v, want %v, %v", tt.name, remove, make, tt.remove, tt.make)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	thing := func(id, name, vcpus string) Replica {
		return Replica{Kind: "flavor", ID: id, Name: name, Fields: map[string]string{"name": name, "vcpus": vcpus}}
	}
	extra := thing("5", "e", "1")
	extra.Fields["extra_specs.x"] = "1"
	got := Compare(map[string][]Replica{
		"pod1": {thing("1", "a", "1"), thing("2", "b", "2"), thing("3", "c", "1"), thing("5", "e", "1"), thing("6", "f", "1")},
		"pod2": {thing("1", "a", "1"), thing("2", "b", "4"), thing("4", "c", "1"), extra},
	}, map[string]Replica{"6": thing("6", "f", "1"), "7": thing("7", "g", "1")})
	want := []Difference{
		{Kind: "flavor", ID: "2", Name: "b", Problem: Different, Pods: []string{"pod1", "pod2"},
			Fields: []FieldDifference{{"vcpus", map[string]string{"pod1": "2", "pod2": "4"}}}},
		{Kind: "flavor", ID: "3", Name: "c", Problem: Only, Pods: []string{"pod1"}},
		{Kind: "flavor", ID: "3", Name: "c", Problem: Renamed, Pods: []string{"pod1", "pod2"},
			Fields: []FieldDifference{{"id", map[string]string{"pod1": "3", "pod2": "4"}}}},
		{Kind: "flavor", ID: "4", Name: "c", Problem: Only, Pods: []string{"pod2"}},
		{Kind: "flavor", ID: "5", Name: "e", Problem: Different, Pods: []string{"pod1", "pod2"},
			Fields: []FieldDifference{{"extra_specs.x", map[string]string{"pod2": "1"}}}},
		{Kind: "flavor", ID: "6", Name: "f", Problem: Missing, Pods: []string{"pod2"}},
		{Kind: "flavor", ID: "7", Name: "g", Problem: Missing, Pods: []string{"pod1", "pod2"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Compare (-want +got):\n%s", diff)
	}
}
