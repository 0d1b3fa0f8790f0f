package compute_test

import (
	"encoding/json"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// TestSchemaWords holds refusals of a creation to Nova's own words.
func TestSchemaWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	c := w.as("demo")
	for body, want := range map[string]string{
		`{"server":{"name":"x"}}`: "Invalid input for field/attribute server. Value: {'name': 'x'}. 'flavorRef' is a required property",
		`{"server":{"name":"x","flavorRef":"1","networks":"sometimes"}}`: "Invalid input for field/attribute networks. Value: sometimes. " +
			"'sometimes' is not valid under any of the given schemas",
		`{"server":[]}`: "Invalid input for field/attribute server. Value: []. [] is not of type 'object'",
	} {
		if got := c.do("POST", "/servers", json.RawMessage(body)).want(t, 400).message(); got != want {
			t.Errorf("%s is refused with %q, want %q", body, got, want)
		}
	}
	id := c.boot("az1", m{"name": "a"})
	got := c.do("POST", "/servers/"+id+"/os-interface", m{"interfaceAttachment": m{"nosuch": 1}}).want(t, 400).message()
	if want := "Invalid input for field/attribute interfaceAttachment. Value: {'nosuch': 1}. Additional properties are not allowed ('nosuch' was unexpected)"; got != want {
		t.Errorf("an unknown field is refused with %q, want %q", got, want)
	}
}
