package dispatch

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

func scanMembers(object string, names ...string) ([]string, bool) {
	s := &scanner{b: []byte(object)}
	values := make([][]byte, len(names))
	s.members(names, values)
	found := make([]string, len(names))
	for i, v := range values {
		found[i] = string(v)
	}
	return found, !s.failed() && s.next() == 0 && s.at == len(s.b)
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ object, a, b string }{
		{`{}`, "", ""},
		{` { } `, "", ""},
		{`{"a": 1, "b": "x"}`, "1", `"x"`},
		{`{"b":"x","a":1}`, "1", `"x"`},
		{"{\n \"a\" :\t-1.5e3 ,\r\n\"b\":null\n}", "-1.5e3", "null"},
		{`{"x": {"a": 7}, "y": ["b", {"b": 8}], "a": true}`, "true", ""},
		{`{"x": "\"a\": 1", "a": "\\", "b": "\\\""}`, `"\\"`, `"\\\""`},
		{`{"x": "}{][", "a": {"c": "}"}, "b": [[], "]"]}`, `{"c": "}"}`, `[[], "]"]`},
		{`{"a": 1, "a": 2}`, "1", ""},
	} {
		got, ok := scanMembers(test.object, "a", "b")
		if !ok || got[0] != test.a || got[1] != test.b {
			t.Errorf("members(%s) = %q, %v, want %q and %q", test.object, got, ok, test.a, test.b)
		}
	}
}

// Whatever the text: JSON is what encoding/json takes for it, and its members are
// those that gjson finds.
func TestScannerAgreesWithOthers(t *testing.T) {
	t.Parallel()
	text := rapid.StringOf(rapid.SampledFrom([]rune("ab\"\\{}[],: é\u2028\x00\n\x1f")))
	value := rapid.OneOf(
		rapid.Map(text, func(s string) any { return s }), rapid.Map(rapid.Float64(), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(rapid.SliceOfN(text, 0, 3), func(l []string) any { return l }),
		rapid.Map(rapid.MapOfN(text, text, 0, 3), func(m map[string]string) any { return m }), rapid.Just(any(nil)),
	)
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d:x", "e"}), value, 0, 5).Draw(t, "object")
		encoded, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		raw := string(encoded)
		names := []string{"e", "a", "d:x"}
		got, ok := scanMembers(raw, names...)
		if !ok {
			t.Fatalf("%s is not taken for JSON", raw)
		}
		for i, name := range names {
			if want := gjson.Get(raw, name).Raw; got[i] != want {
				t.Fatalf("%s of %s is %q, want %q", name, raw, got[i], want)
			}
		}
		// Something is cut, or put in.
		at := rapid.IntRange(0, len(raw)).Draw(t, "at")
		cut := rapid.IntRange(at, min(len(raw), at+3)).Draw(t, "cut")
		put := rapid.StringOf(rapid.SampledFrom([]rune("ab\"\\{}[],:-+.0123eEtrufalsn \x01"))).Draw(t, "put")
		spoilt := raw[:at] + put + raw[cut:]
		s := &scanner{b: []byte(spoilt)}
		s.value(0)
		if got, want := !s.failed() && s.next() == 0 && s.at == len(s.b), json.Valid([]byte(spoilt)); got != want {
			t.Fatalf("%q is JSON: %v, want %v", spoilt, got, want)
		}
	})
}

func TestScannerEndsWithNonsense(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{a:1}`, `[1,]`, `[1 2]`, `[`, `"`, `"\`, `"\u12`, `"\x"`, "\"\n\"",
		`01`, `1.`, `.5`, `-`, `1e`, `1e+`, `+1`, `nul`, `truex`, `NaN`, `{"a":1}}`, `[]]`, "\x00", `{"a":1}` + "\x00",
		strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
	} {
		s := &scanner{b: []byte(text)}
		s.value(0)
		if !s.failed() && s.next() == 0 && s.at == len(s.b) {
			t.Errorf("%.40q is taken for JSON", text)
		}
	}
}
