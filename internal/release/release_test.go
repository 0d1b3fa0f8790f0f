package release

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/microversion"
)

func v(minor int) microversion.Version { return microversion.Version{Major: 2, Minor: minor} }

func TestLower(t *testing.T) {
	t.Parallel()
	const server = "/servers/8f"
	for _, test := range []struct {
		method, path, query, body string
		from, to                  int
		want                      string // in the error; empty: possible
		kind                      fault.Kind
	}{
		{"GET", server, "", "", 93, 79, "", 0},
		{"GET", server, "", "", 93, 46, "needs version 2.47", fault.NotAcceptable},
		{"GET", "/servers/detail", "name=x&tags=y", "", 93, 53, "", 0},
		{"GET", "/servers/detail", "tags=y", "", 27, 25, "the query parameter tags needs version 2.26", fault.NotAcceptable},
		{"GET", "/servers", "locked=true", "", 73, 72, "the query parameter locked", fault.NotAcceptable},
		{"GET", "/servers", "vm_state=active", "", 93, 79, "the query parameter vm_state", fault.NotAcceptable},
		{"GET", server + "/topology", "", "", 78, 77, "this operation needs version 2.78", fault.NotAcceptable},
		{"GET", server + "/topology", "", "", 93, 79, "", 0},
		{"GET", server + "/tags/x", "", "", 93, 25, "this operation", fault.NotAcceptable},
		{"POST", "/servers", "", `{"server": {"name": "a", "networks": [{"uuid": "b"}]}}`, 93, 57, "", 0},
		{"POST", "/servers", "", `{"server": {"tags": ["a"]}}`, 93, 51, "server.tags needs version 2.52", fault.NotAcceptable},
		{"POST", "/servers", "", `{"server": {"networks": "none"}}`, 93, 36, "server.networks as a word", fault.NotAcceptable},
		{"POST", "/servers", "", `{"server": {"networks": [{"uuid": "b"}, {"uuid": "c", "tag": "t"}]}}`, 42, 41, "server.networks.#.tag", fault.NotAcceptable},
		{"POST", "/servers", "", `{"server": {"personality": [{"path": "/x"}]}}`, 57, 56, "'personality' was unexpected", fault.Invalid},
		{"POST", server + "/action", "", `{"rebuild": {"imageRef": "a"}}`, 93, 79, "", 0},
		{"POST", server + "/action", "", `{"rebuild": {"imageRef": "a", "hostname": "h"}}`, 93, 79, "rebuild.hostname", fault.NotAcceptable},
		{"POST", server + "/action", "", `{"os-getVNCConsole": {"type": "novnc"}}`, 6, 5, "could not be found", fault.NotFound},
		{"POST", server + "/action", "", `{"lock": null}`, 93, 72, "", 0},
		{"POST", "/os-keypairs", "", `{"keypair": {"name": "k"}}`, 92, 91, "'public_key' is a required property", fault.Invalid},
		{"GET", "/os-hypervisors/statistics", "", "", 88, 87, "could not be found", fault.NotFound},
		{"GET", "/flavors/detail", "", "", 93, 61, "", 0},
		{"GET", "/flavors/detail", "", "", 93, 60, "extra specs", fault.NotAcceptable},
		{"GET", "/servers", "", "", 101, 93, "not known here", fault.NotAcceptable},
	} {
		query, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Lower(Call{Method: test.method, Path: test.path, Query: query, Body: []byte(test.body)}, v(test.from), v(test.to))
		name := fmt.Sprintf("%s %s?%s %s in 2.%d by 2.%d", test.method, test.path, test.query, test.body, test.from, test.to)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (!fault.Is(err, test.kind) || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want kind %v with %q", name, err, test.kind, test.want)
		}
	}
}

func TestRaise(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method, path, body string
		from, to                 int
		in, want                 Answer
	}{
		{"servers", "GET", "/servers/detail", "", 93, 71,
			Answer{Status: 200, Body: []byte(`{"servers": [{"id": "a"}, {"OS-EXT-SRV-ATTR:hostname": "b"}, {}], "servers_links": []}`)},
			Answer{Status: 200, Body: []byte(`{"servers": [{"id": "a", "locked_reason": null, "OS-EXT-SRV-ATTR:hostname": null}, ` +
				`{"OS-EXT-SRV-ATTR:hostname": "b", "locked_reason": null}, {"locked_reason": null, "OS-EXT-SRV-ATTR:hostname": null}], "servers_links": []}`),
				Untold: []string{"OS-EXT-SRV-ATTR:hostname"}}},
		{"no servers", "GET", "/servers/detail", "", 93, 71,
			Answer{Status: 200, Body: []byte(`{"servers": []}`)}, Answer{Status: 200, Body: []byte(`{"servers": []}`)}},
		{"nested", "GET", "/servers/8f", "", 98, 96,
			Answer{Status: 200, Body: []byte(`{"server": {"image": {"id": "i"}, "x": 1}}`)},
			Answer{Status: 200, Body: []byte(`{"server": {"image": {"id": "i", "properties": null}, "x": 1}}`), Untold: []string{"properties"}}},
		{"no image", "GET", "/servers/8f", "", 98, 96,
			Answer{Status: 200, Body: []byte(`{"server": {"image": ""}}`)}, Answer{Status: 200, Body: []byte(`{"server": {"image": ""}}`)}},
		{"swap", "GET", "/flavors/1", "", 75, 61,
			Answer{Status: 200, Body: []byte(`{"flavor": {"swap": "", "ram": 1}}`)}, Answer{Status: 200, Body: []byte(`{"flavor": {"ram": 1, "swap": 0}}`)}},
		{"some swap", "GET", "/flavors/1", "", 75, 61,
			Answer{Status: 200, Body: []byte(`{"flavor": {"swap": 512}}`)}, Answer{Status: 200, Body: []byte(`{"flavor": {"swap": 512}}`)}},
		{"group", "GET", "/os-server-groups/1", "", 93, 60,
			Answer{Status: 200, Body: []byte(`{"server_group": {"id": "g", "policies": ["affinity"], "metadata": {}}}`)},
			Answer{Status: 200, Body: []byte(`{"server_group": {"id": "g", "policy": "affinity", "rules": {}}}`)}},
		{"key", "POST", "/os-keypairs", `{"keypair": {"public_key": "p"}}`, 2, 1,
			Answer{Status: 200, Body: []byte(`{"keypair": {"name": "k"}}`)}, Answer{Status: 201, Body: []byte(`{"keypair": {"name": "k", "type": "ssh"}}`)}},
		{"snapshot", "POST", "/servers/8f/action", `{"createImage": {}}`, 45, 44,
			Answer{Status: 202, Location: "http://pod:9292/images/1a"}, Answer{Status: 202, Body: []byte(`{"image_id": "1a"}`)}},
		{"attachment", "GET", "/servers/8f/os-volume_attachments/v", "", 89, 79,
			Answer{Status: 200, Body: []byte(`{"volumeAttachment": {"id": "v", "volumeId": "v"}}`)},
			Answer{Status: 200, Body: []byte(`{"volumeAttachment": {"volumeId": "v", "attachment_id": null, "bdm_uuid": null}}`),
				Untold: []string{"attachment_id", "bdm_uuid"}}},
		{"no JSON", "GET", "/servers/detail", "", 93, 71, Answer{Status: 200, Body: []byte(`{"serv`)}, Answer{Status: 200, Body: []byte(`{"serv`)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plan, err := Lower(Call{Method: test.method, Path: test.path, Body: []byte(test.body)}, v(test.from), v(test.to))
			if err != nil {
				t.Fatal(err)
			}
			got := test.in
			plan.Raise(&got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, got.Body)
			}
		})
	}
}

func TestOffer(t *testing.T) {
	t.Parallel()
	w := func(low, high int) microversion.Window { return microversion.Window{Min: v(low), Max: v(high)} }
	for _, test := range []struct {
		name     string
		min, max int
		pods     []microversion.Window
		want     string
		err      string
	}{
		{name: "one pod", pods: []microversion.Window{w(1, 93)}, want: "2.1 to 2.93"},
		{name: "the weakest", pods: []microversion.Window{w(1, 93), w(1, 79), w(1, 88)}, want: "2.1 to 2.79"},
		{name: "a newer minimum", pods: []microversion.Window{w(1, 93), w(60, 96)}, want: "2.60 to 2.93"},
		{name: "capped", max: 72, pods: []microversion.Window{w(1, 93), w(1, 79)}, want: "2.1 to 2.72"},
		{name: "above the weakest", max: 90, pods: []microversion.Window{w(1, 93), w(1, 79)}, want: "2.1 to 2.90"},
		{name: "not above the best", max: 99, pods: []microversion.Window{w(1, 93), w(1, 79)}, want: "2.1 to 2.93"},
		{name: "not above what is known", max: 200, pods: []microversion.Window{w(1, 120), w(1, 79)}, want: "2.1 to 2.100"},
		{name: "what all speak is offered, known or not", max: 200, pods: []microversion.Window{w(1, 120), w(1, 110)}, want: "2.1 to 2.110"},
		{name: "old clients refused", min: 53, pods: []microversion.Window{w(1, 93)}, want: "2.53 to 2.93"},
		{name: "a pod left out", min: 1, pods: []microversion.Window{w(1, 93), w(60, 96)}, want: "2.1 to 2.93"},
		{name: "not below what any speaks", min: 1, pods: []microversion.Window{w(53, 93), w(60, 96)}, want: "2.53 to 2.93"},
		{name: "nothing in common", pods: []microversion.Window{w(1, 50), w(60, 96)}, err: "pod a speaks 2.1 to 2.50, pod b speaks 2.60 to 2.96"},
		{name: "nobody has told", err: "no pod has told"},
	} {
		limits, spoken := Limits{}, map[string]microversion.Window{}
		if test.min > 0 {
			limits.Min = v(test.min)
		}
		if test.max > 0 {
			limits.Max = v(test.max)
		}
		for i, p := range test.pods {
			spoken[string(rune('a'+i))] = p
		}
		got, err := limits.Offer(spoken)
		if test.err != "" {
			if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", test.name, err, test.err)
			}
			continue
		}
		if err != nil || got.String() != test.want {
			t.Errorf("%s: %s, %v, want %s", test.name, got, err, test.want)
		}
	}
}

// The table is in order, or changes would be applied in the wrong one, and says
// where the things are that it changes.
func TestHistoryIsInOrder(t *testing.T) {
	t.Parallel()
	if !slices.IsSortedFunc(history, func(a, b change) int { return a.minor - b.minor }) {
		t.Error("a later version comes before an earlier one")
	}
	if last := history[len(history)-1].minor; last > Known.Minor {
		t.Errorf("changes of 2.%d are in the table, Known is %s", last, Known)
	}
	for _, c := range history {
		r := c.rule
		if edits := len(r.shows)+len(r.untold)+len(r.drops) > 0 || r.edit != nil; edits != (len(r.at) > 0) {
			t.Errorf("2.%d %v: what is changed, and where, do not go together", c.minor, c.ops)
		}
	}
}
