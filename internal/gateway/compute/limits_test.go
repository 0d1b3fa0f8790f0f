package compute

import (
	"encoding/json"
	"testing"

	"github.com/tidwall/gjson"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   []string
		want string
	}{
		{"usage adds up", []string{`{"totalCoresUsed":1}`, `{"totalCoresUsed":2}`}, `{"totalCoresUsed":3}`},
		{"what each pod gives adds up", []string{`{"maxTotalCores":20}`, `{"maxTotalCores":20}`}, `{"maxTotalCores":40}`},
		{"no limit stays none", []string{`{"maxTotalCores":20}`, `{"maxTotalCores":-1}`}, `{"maxTotalCores":-1}`},
		{"the least of what is the same", []string{`{"maxTotalKeypairs":100}`, `{"maxTotalKeypairs":50}`}, `{"maxTotalKeypairs":50}`},
		{"none bounds less", []string{`{"metadata_items":-1}`, `{"metadata_items":128}`}, `{"metadata_items":128}`},
		{"text is the first pod's", []string{`{"id":"p","cores":1}`, `{"id":"q","cores":1}`}, `{"id":"p","cores":2}`},
		{"one pod has more", []string{`{"cores":1}`, `{"new":5,"cores":1}`}, `{"cores":2,"new":5}`},
		{"nothing", nil, `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var n numbers
			for _, in := range tt.in {
				n.add(gjson.Parse(in))
			}
			got, err := json.Marshal(&n)
			if err != nil || string(got) != tt.want {
				t.Errorf("sum of %v = %s, %v, want %s", tt.in, got, err, tt.want)
			}
		})
	}
}
