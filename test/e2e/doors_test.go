//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oldDoors are requests that Nova and the region must answer alike: "version
// METHOD path body". A group of the project is <group>; <none> does not exist.
const oldDoors = `
2.1 GET /images
2.1 GET /images/detail
2.1 GET /images?limit=-1
2.1 GET /images?marker=nope
2.1 GET /images/<none>
2.1 DELETE /images/<none>
2.35 PUT /images {}
2.36 GET /images
2.1 POST /images/<none>/metadata {"metadata":{"a":1}}
2.1 POST /images/<none>/metadata {"metadata":{"a/":"1"}}
2.38 GET /images/<none>/metadata
2.39 GET /images/<none>/metadata
2.1 GET /os-volumes
2.1 GET /os-volumes/
2.1 GET /os-volumes?limit=x
2.1 GET /os-volumes/<none>
2.1 DELETE /os-volumes/<none>
2.1 POST /os-volumes {"volume":{}}
2.1 POST /os-volumes {"volume":{"size":"0"}}
2.1 POST /os-volumes {"volume":{"size":1,"availability_zone":"nope"}}
2.1 POST /os-volumes {"volume":{"size":1,"snapshot_id":"nope"}}
2.1 POST /os-volumes {
2.36 POST /os-volumes {}
2.1 GET /os-snapshots
2.1 GET /os-snapshots/<none>
2.1 POST /os-snapshots {"snapshot":{"volume_id":"nope","force":"maybe"}}
2.1 GET /os-networks/<none>
2.1 GET /os-tenant-networks/<none>
2.1 POST /os-networks/add {}
2.1 POST /os-networks/x/action {"disassociate":null}
2.1 POST /os-networks/x/action {"nope":null}
2.1 GET /os-floating-ips/<none>
2.1 POST /os-floating-ips {"pool":"nope"}
2.1 GET /os-security-groups
2.1 GET /os-security-groups/nope
2.1 GET /os-security-groups/<none>
2.1 POST /os-security-groups {"security_group":{"name":"a"}}
2.1 POST /os-security-groups {"security_group":{"name":"default","description":"x"}}
2.1 DELETE /os-security-groups/<group>
2.1 POST /os-security-group-rules {"security_group_rule":{"parent_group_id":"<group>"}}
2.1 POST /os-security-group-rules {"security_group_rule":{"parent_group_id":"<group>","ip_protocol":"tcp","from_port":5,"to_port":1}}
2.1 POST /os-security-group-rules {"security_group_rule":{"parent_group_id":"<group>","ip_protocol":"tcp","from_port":1,"to_port":1,"cidr":"10"}}
2.1 DELETE /os-security-group-rules/<none>
2.1 GET /os-baremetal-nodes
2.1 POST /os-baremetal-nodes/x/action {"add_interface":{}}
2.93 GET /os-cells
2.1 GET /servers/<none>/os-virtual-interfaces
2.1 PATCH /os-cells
2.1 POST /servers/<none>/action {"nope":null}
2.1 POST /servers/<none>/action {"a":1,"b":2}
2.1 POST /servers/<none>/action {"addFixedIp":{"networkId":"1"}}
2.44 POST /servers/<none>/action {"addFixedIp":{"networkId":"1"}}
2.1 POST /servers/<none>/action {"addFloatingIp":{"address":"192.0.2.1"}}
`

// answer is what two services are compared by.
type answer struct {
	Status int
	Kind   string // of the body
	Header map[string][]string
	Body   any
}

// differing are the parts of an answer that no two clouds have in common.
var differing = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}`)

func (u *Tenant) knock(line, group string) answer {
	u.t.Helper()
	line = strings.NewReplacer("<none>", "11111111-1111-1111-1111-111111111111", "<group>", group).Replace(line)
	parts := append(strings.SplitN(line, " ", 4), "")
	req := must(http.NewRequestWithContext(live(u.t), parts[1], strings.TrimSuffix(u.Compute.Endpoint, "/")+parts[2], strings.NewReader(parts[3])))(u.t)
	req.Header.Set("X-Auth-Token", u.Compute.TokenID)
	req.Header.Set("X-OpenStack-Nova-API-Version", parts[0])
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp := must(http.DefaultClient.Do(req))(u.t)
	defer resp.Body.Close()
	body := must(io.ReadAll(resp.Body))(u.t)
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	a := answer{Status: resp.StatusCode, Kind: kind, Header: map[string][]string{}}
	for _, name := range []string{"Openstack-Api-Version", "X-Openstack-Nova-Api-Version", "Vary", "Allow"} {
		if values := resp.Header.Values(name); len(values) > 0 {
			a.Header[name] = values
		}
	}
	if json.Unmarshal(body, &a.Body) != nil {
		a.Body = string(body)
	}
	if resp.StatusCode < 300 {
		a.Body = shape(a.Body)
	} else {
		a.Body = differing.ReplaceAllString(string(must(json.Marshal(a.Body))(u.t)), "*")
	}
	return a
}

// shape is a document less its values: objects with the kinds of their members,
// lists as the kinds of things that are in them.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			out[name] = shape(value)
		}
		return out
	case []any:
		var kinds []string
		for _, item := range v {
			kind, err := json.Marshal(shape(item))
			if err == nil && !slices.Contains(kinds, string(kind)) {
				kinds = append(kinds, string(kind))
			}
		}
		slices.Sort(kinds)
		return kinds
	case string:
		return "text"
	case float64:
		return "number"
	case bool:
		return "flag"
	}
	return v
}

// defaultGroup is the ID of the project's default group, through the old door.
func (u *Tenant) defaultGroup() string {
	u.t.Helper()
	var out struct {
		Groups []struct{ ID, Name string } `json:"security_groups"`
	}
	req := must(http.NewRequestWithContext(live(u.t), http.MethodGet, strings.TrimSuffix(u.Compute.Endpoint, "/")+"/os-security-groups", nil))(u.t)
	req.Header.Set("X-Auth-Token", u.Compute.TokenID)
	decode(u.t, must(http.DefaultClient.Do(req))(u.t), &out)
	for _, g := range out.Groups {
		if g.Name == "default" {
			return g.ID
		}
	}
	u.t.Fatalf("no default group among %+v", out.Groups)
	return ""
}

// TestOldDoors puts the same questions to a stock Nova and to the region.
func TestOldDoors(t *testing.T) {
	nova, ours := loginTo(t, "alt", "Pod1"), login(t, "alt")
	theirGroup, ourGroup := nova.defaultGroup(), ours.defaultGroup()
	for line := range strings.Lines(oldDoors) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if diff := cmp.Diff(nova.knock(line, theirGroup), ours.knock(line, ourGroup)); diff != "" {
			t.Errorf("%s (-Nova +region):\n%s", line, diff)
		}
	}
}
