//go:build e2e

package policy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python is the one that has the testbed's Neutron.
const python = "/usr/bin/python3"

// TestRulesAsInOslo asks oslo.policy itself the same questions.
func TestRulesAsInOslo(t *testing.T) {
	t.Parallel()
	creds := map[string]any{"user_id": "u1", "project_id": "p1", "roles": alice.Roles}
	var asked []map[string]any
	want := make([]bool, len(questions))
	for i, q := range questions {
		rules := map[string]string{"yes": "role:reader", "no": "!", "default": "project_id:%(project_id)s", "asked": q.check}
		asked = append(asked, map[string]any{"rules": rules, "rule": "asked", "target": q.target, "creds": creds})
		want[i] = q.want
	}
	in, _ := json.Marshal(asked)
	cmd := exec.Command(python, "testdata/oslo.py")
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []bool
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("oslo.policy: %q = %v, we say %v", questions[i].check, got[i], want[i])
		}
	}
}

// TestNeutronsRules holds the file to the Neutron on this machine.
func TestNeutronsRules(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(python, "testdata/rules.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("neutron.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(ours)) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, `"create_subnet":`) {
			got = append(got, strings.TrimSpace(line))
		}
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, `"create_subnet":`) {
			want = append(want, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-Neutron +ours)\n%s", diff)
	}
}
