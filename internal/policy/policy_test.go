package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/policy"
)

// question is one case: a rule, asked by alice of a thing.
type question struct {
	check  string
	target map[string]any
	want   bool
}

var alice = policy.Creds{UserID: "u1", UserName: "alice", UserDomainID: "d1",
	ProjectID: "p1", ProjectName: "wonderland", ProjectDomainID: "d1", Roles: []string{"Member", "reader"}}

var (
	hers   = map[string]any{"project_id": "p1", "tenant_id": "p1", "name": "x", "shared": false, "size": 3, "gone": nil, "role": "reader"}
	theirs = map[string]any{"project_id": "p2", "tenant_id": "p2", "name": "admin", "shared": true}
)

var questions = []question{
	{"", hers, true},
	{"@", hers, true},
	{"!", hers, false},
	{"role:member", hers, true},
	{"role:MEMBER", hers, true},
	{"role:admin", hers, false},
	{"role:%(role)s", hers, true},
	{"role:%(nothing)s", hers, false},
	{"not role:admin", hers, true},
	{"not not role:admin", hers, false},
	{"project_id:%(project_id)s", hers, true},
	{"project_id:%(project_id)s", theirs, false},
	{"project_id:%(nothing)s", hers, false},
	{"project_id:p1", theirs, true},
	{"nobody:p1", theirs, false},
	{"user_id:u1 and role:member", hers, true},
	{"True:%(shared)s", theirs, true},
	{"True:%(shared)s", hers, false},
	{"False:%(shared)s", hers, true},
	{"None:%(gone)s", hers, true},
	{"3:%(size)s", hers, true},
	{"'admin':%(name)s", theirs, true},
	{"'admin':%(name)s", hers, false},
	{"role:admin or role:member", hers, true},
	{"role:admin and role:member", hers, false},
	{"role:member or role:admin and role:nobody", hers, true}, // and binds tighter
	{"(role:member or role:admin) and role:nobody", hers, false},
	{"role:nobody and role:admin or role:member", hers, true},
	{"not role:admin and role:member", hers, true},
	{"not (role:admin or role:member)", hers, false},
	{"((role:reader))", hers, true},
	{"role:admin OR role:member", hers, true},
	{"rule:yes", hers, true},
	{"rule:no", hers, false},
	{"rule:nowhere", hers, true}, // the default
	{"rule:nowhere", theirs, false},
	{"rule:no or (rule:yes and not rule:no)", hers, true},
}

const around = `{"yes": "role:reader", "no": "!", "default": "project_id:%(project_id)s", "asked": `

func read(t *testing.T, file string) *policy.Rules {
	t.Helper()
	r, err := (&policy.Rules{}).With([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRules(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		text, _ := json.Marshal(q.check)
		got, err := read(t, around+string(text)+"}").Allows(alice, "asked", policy.Attributes(q.target))
		if got != q.want || err != nil {
			t.Errorf("%q about %v = %v, %v, want %v", q.check, q.target, got, err, q.want)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   string
		target map[string]any
		want   bool
	}{
		{"shared", map[string]any{"shared": true}, true},
		{"shared", map[string]any{"shared": false}, false},
		{"shared", map[string]any{"network:shared": true}, true},
		{"shared", map[string]any{}, false},
		{"external", map[string]any{"router:external": true}, true},
		{"network_device", map[string]any{"device_owner": "network:dhcp"}, true},
		{"network_device", map[string]any{"device_owner": "compute:network:x"}, false},
		{"network_device", map[string]any{"device_owner": nil}, false},
		{"restrict_wildcard", map[string]any{"target_tenant": "*"}, false},
		{"restrict_wildcard", map[string]any{"target_tenant": "p2"}, true},
		{"network_owner", map[string]any{"network:tenant_id": "p1"}, true},
		{"sg_owner", map[string]any{"security_group:tenant_id": "p2"}, false},
	} {
		got, err := policy.Neutron().Allows(alice, c.rule, policy.Attributes(c.target))
		if got != c.want || err != nil {
			t.Errorf("%s about %v = %v, %v, want %v", c.rule, c.target, got, err, c.want)
		}
	}
}

// TestTargetAway: what cannot be found out allows nothing.
func TestTargetAway(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	about := func(string) (any, bool, error) { return nil, false, away }
	for _, check := range []string{"project_id:%(project_id)s", "not project_id:%(project_id)s", "role:%(x)s", "field:networks:shared=True",
		"project_id:%(project_id)s or role:member", "not (field:networks:shared=True)"} {
		text, _ := json.Marshal(check)
		if ok, err := read(t, around+string(text)+"}").Allows(alice, "asked", about); ok || !errors.Is(err, away) {
			t.Errorf("%q = %v, %v, want the error", check, ok, err)
		}
	}
	if ok, err := read(t, `{"asked": "role:member"}`).Allows(alice, "asked", nil); !ok || err != nil {
		t.Errorf("without a target = %v, %v", ok, err)
	}
	if ok, _ := read(t, `{}`).Allows(alice, "asked", nil); ok {
		t.Error("no rule and no default: allowed")
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		`a: "role"`:                              `rule a: "role" is not of the form kind:match`,
		`a: "role:x and"`:                        "rule a: it ends too early",
		`a: "(role:x"`:                           "rule a: a parenthesis is not closed",
		`a: "role:x role:y"`:                     `rule a: "role:y" is one too many`,
		`a: "http://x/"`:                         `rule a: "http://x/" asks another server, which is not supported`,
		`a: "field:x"`:                           `rule a: "field:x" is not of the form field:resource:attribute=value`,
		`a: "field:x:y=~["`:                      `rule a: "field:x:y=~[" is not of the form field:resource:attribute=value`,
		`a: "rule:a"`:                            "rule a builds on itself",
		"a: 'rule:b'\nb: 'role:x or not rule:a'": "rule a builds on itself",
	} {
		if _, err := policy.Neutron().With([]byte(file)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
	if _, err := policy.Neutron().With([]byte("[1]")); err == nil {
		t.Error("a list: no error")
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	if _, err := policy.Open(path, policy.Neutron(), logger); err == nil {
		t.Fatal("no file: no error")
	}
	tick := time.Now().Add(-time.Hour)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		tick = tick.Add(time.Second)
		if err := os.Chtimes(path, tick, tick); err != nil {
			t.Fatal(err)
		}
	}
	write(`"create_network": "role:builder"`)
	f, err := policy.Open(path, policy.Neutron(), logger)
	if err != nil {
		t.Fatal(err)
	}
	allowed := func() bool {
		ok, err := f.Rules().Allows(alice, "create_network", policy.Attributes(hers))
		return ok && err == nil
	}
	if allowed() {
		t.Error("the file's rule does not hold")
	}
	write(`create_network: "role:member"`)
	if !allowed() {
		t.Error("the changed rule does not hold")
	}
	write(`create_network: "nonsense"`)
	if first := allowed(); !first || !allowed() || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("after a mistake: the rules are others, or the log is: %s", &log)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if first := allowed(); !first || !allowed() || strings.Count(log.String(), "\n") != 2 {
		t.Errorf("without the file: the rules are others, or the log is: %s", &log)
	}
	write("")
	if !allowed() {
		t.Error("an empty file: Neutron's rule does not hold")
	}
	if f, err := policy.Open("", policy.Neutron(), logger); err != nil || !f.Rules().Has("create_network") {
		t.Errorf("without a path: %v", err)
	}
}
