package matrix

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse(`
		     b          fip
		a    all4,ping6 none
		b    -          tcp,tcp81
	`)
	if err != nil {
		t.Fatal(err)
	}
	want := Matrix{
		Rows: []string{"a", "b"}, Columns: []string{"b", "fip"},
		Cells: map[Pair]Protocols{{"a", "b"}: All4 | Ping6, {"a", "fip"}: None, {"b", "fip"}: TCP | TCP81},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":         " ",
		"a heading alone": "a b",
		"a cell too many": "a b\nc all all all",
		"an unknown word": "a\nb pong",
		"an empty word":   "a\nb ping,",
	} {
		if m, err := Parse(text); err == nil {
			t.Errorf("%s: Parse = %v, want an error", name, m)
		}
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	want := map[Pair]Protocols{{"a", "b"}: All, {"b", "a"}: All}
	if diff := cmp.Diff(want, Full("a", "b").Cells); diff != "" {
		t.Errorf("Full (-want +got):\n%s", diff)
	}
}

func TestTableShowsWhatDiffers(t *testing.T) {
	t.Parallel()
	m, err := Parse(`
		   a    b    c
		a  -    all  ping
		b  all4 -    none
		c  all  ping,tcp6 -
	`)
	if err != nil {
		t.Fatal(err)
	}
	four := map[Pair]Protocols{}
	for pair := range m.Cells {
		four[pair] = All4
	}
	four[Pair{"c", "b"}] = All
	m = m.Narrow(four)
	seen := map[Pair]Protocols{
		{"a", "b"}: All4, {"a", "c"}: None, {"b", "a"}: All4, {"b", "c"}: UDP, {"c", "a"}: Ping | TCP | UDP, {"c", "b"}: All6,
	}
	want := `
     a                     b                                c
  a  -                     all                              none!(ping)
  b  all                   -                                udp![udp]
  c  ping,tcp,udp!(tcp81)  all6!(ping)[ping6,udp6,tcp81-6]  -
`
	if diff := cmp.Diff(want, "\n"+m.Table(seen, four)); diff != "" {
		t.Errorf("Table (-want +got):\n%s", diff)
	}
}

func TestDiffer(t *testing.T) {
	t.Parallel()
	m := Matrix{Cells: map[Pair]Protocols{{"a", "b"}: Ping | TCP, {"b", "a"}: None, {"a", "c"}: All}}
	got := m.Differ(map[Pair]Protocols{{"a", "b"}: Ping | UDP, {"a", "c"}: All, {"x", "y"}: All})
	want := map[Pair]Difference{{"a", "b"}: {TooMuch: UDP, Missing: TCP}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Differ (-want +got):\n%s", diff)
	}
}
