package gateway

import (
	"testing"

	"github.com/tidwall/gjson"
)

func TestSplice(t *testing.T) {
	t.Parallel()
	body := []byte(`{"z": "nova", "none": null, "empty": "", "m": {"a": "1", "b": "2"}}`)
	doc := gjson.ParseBytes(body)
	ours := func(s string) string { return "our " + s }
	var edits []Edit
	for _, path := range []string{"z", "none", "empty", "absent"} {
		edits = Renamed(edits, doc.Get(path), ours)
	}
	edits = append(edits, Instead(doc.Get("m"), WithoutMember(doc.Get("m"), "a")), Insert(1, `"new": 1, `))
	want := `{"new": 1, "z": "our nova", "none": null, "empty": "", "m": {"b": "2"}}`
	if got := string(Splice(body, edits)); got != want {
		t.Errorf("Splice() = %s, want %s", got, want)
	}
	if same := Renamed(nil, doc.Get("z"), func(s string) string { return s }); same != nil {
		t.Errorf("a name that stays makes an edit: %v", same)
	}
}
