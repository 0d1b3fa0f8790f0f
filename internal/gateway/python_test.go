package gateway

import (
	"testing"

	"github.com/tidwall/gjson"
)

func TestPythonsWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct{ repr, str string }{
		`"it's"`:                     {`"it's"`, "it's"},
		`"both ' and \""`:            {`'both \' and "'`, `both ' and "`},
		`"a\nb"`:                     {`'a\nb'`, "a\nb"},
		`1.50`:                       {"1.50", "1.50"},
		`null`:                       {"None", "None"},
		`[true, {"a": [], "b": {}}]`: {"[True, {'a': [], 'b': {}}]", "[True, {'a': [], 'b': {}}]"},
	} {
		v := gjson.Parse(in)
		if got := Repr(v); got != want.repr {
			t.Errorf("Repr(%s) = %s, want %s", in, got, want.repr)
		}
		if got := Str(v); got != want.str {
			t.Errorf("Str(%s) = %s, want %s", in, got, want.str)
		}
	}
}
