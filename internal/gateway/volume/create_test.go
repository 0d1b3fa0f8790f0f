package volume

import "testing"

// TestUnquoteMark puts the mark into requests as a pod gets them, and takes it out
// of what Cinder says of them.
func TestUnquoteMark(t *testing.T) {
	for name, test := range map[string]struct {
		body, said, want string
	}{
		"no metadata": {
			`{"volume":{"size":1}}`,
			`{"badRequest":{"message":"Value: {'size': 1, 'metadata': {'tricircle': 'm'}}. Not allowed"}}`,
			`{"badRequest":{"message":"Value: {'size': 1}. Not allowed"}}`,
		},
		"nothing but the mark": {
			`{"volume":{}}`,
			`Value: {'metadata': {'tricircle': 'm'}}.`,
			`Value: {}.`,
		},
		"metadata null": {
			`{"volume":{"metadata":null,"size":1}}`,
			`Value: {'metadata': {'tricircle': 'm'}, 'size': 1}.`,
			`Value: {'metadata': None, 'size': 1}.`,
		},
		"empty metadata": {
			`{"volume":{"metadata":{}}}`,
			`Value: {'metadata': {'tricircle': 'm'}}.`,
			`Value: {'metadata': {}}.`,
		},
		"own metadata": {
			`{"volume":{"metadata":{"a":"b"}}}`,
			`Value: {'a': 'b', 'tricircle': 'm'}.`,
			`Value: {'a': 'b'}.`,
		},
		"not said": {
			`{"volume":{"metadata":{"a":"b"}}}`,
			`No such type: tricircle.`,
			`No such type: tricircle.`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(unquoteMark([]byte(test.said), []byte(test.body), "m")); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
