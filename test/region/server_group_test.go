package region_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

const groups = compute + "/os-server-groups"

func (c *client) serverGroup(policy string) string {
	c.t.Helper()
	return c.do("POST", groups, m{"server_group": m{"name": "g", "policy": policy}}).want(c.t, 200).get("server_group.id").Str
}

func (c *client) members(group string) []string {
	c.t.Helper()
	list := []string{}
	for _, id := range c.do("GET", groups+"/"+group, nil).want(c.t, 200).get("server_group.members").Array() {
		list = append(list, id.Str)
	}
	slices.Sort(list)
	return list
}

// member is a body for POST /servers with the hint "group".
func member(group string, fields m) m {
	body := server(fields)
	body["os:scheduler_hints"] = m{"group": group}
	return body
}

// groupsIn are the pods that have a server group, one entry for each.
func (r *region) groupsIn() []string {
	var in []string
	for pod, has := range r.inventory() {
		for range has["server_group"] {
			in = append(in, pod)
		}
	}
	return in
}

// TestFirstMembersOfTwoReplicas: 64 first members at once, over two replicas and
// for two zones; one pod has the group and all that got in.
func TestFirstMembersOfTwoReplicas(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s := setup{database: url}
		r := newRegion(t, s)
		for _, p := range r.cloud.Pods() {
			p.Compute.SetGroupQuota(10, 100)
		}
		other := *r
		other.start(s)
		replicas := []*client{r.as("demo"), other.as("demo")}
		group := replicas[0].serverGroup("soft-anti-affinity")
		replies := make([]reply, 64)
		var wg sync.WaitGroup
		for i := range replies {
			wg.Go(func() {
				var err error
				body := member(group, m{"availability_zone": fmt.Sprint("az", i/2%2+1)})
				if replies[i], err = replicas[i%2].try(t.Context(), "POST", compute+"/servers", body); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var made []string
		for _, got := range replies {
			switch {
			case got.status == 202:
				made = append(made, got.get("server.id").Str)
			case got.status != 400 || !strings.Contains(got.message(), "a group does not span zone"):
				t.Errorf("%d %s, want 202, or 400 for the other zone", got.status, got.body)
			}
		}
		slices.Sort(made)
		if in := r.groupsIn(); len(in) != 1 || len(made) < 2 || !slices.Equal(made, replicas[1].members(group)) {
			t.Errorf("pods with the group: %v; %d members created, %d in the group", in, len(made), len(replicas[1].members(group)))
		}
		replicas[0].remove(made...)
		r.clean()
		if in := r.groupsIn(); len(in) != 0 {
			t.Errorf("the group without members is still in %v", in)
		}
	})
}

// TestServerGroupThroughAnOutage: a group can be read and deleted while its pod
// is away; the pod is rid of it once it is back.
func TestServerGroupThroughAnOutage(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{config: brisk})
	demo, admin := r.as("demo"), r.as("admin")
	group := demo.serverGroup("affinity")
	id := demo.do("POST", compute+"/servers", member(group, m{"availability_zone": "az2"})).want(t, 202).get("server.id").Str
	where := admin.do("GET", "/admin/v1/resources/"+group, nil).want(t, 200)
	if where.get("resource.found.0.kind").Str != "server_group" || where.get("resource.places.0.pod").Str != "pod2" {
		t.Errorf("resource where says %s", where.body)
	}
	r.settled()
	r.pod("pod2").Down()
	got := demo.do("GET", groups+"/"+group, nil).want(t, 200)
	if got.get("server_group.members.0").Str != id || got.header.Get("X-Tricircle-Unreachable-Pods") != "pod2" {
		t.Errorf("members of a group that is away: %s %v", got.body, got.header)
	}
	if got := demo.do("POST", compute+"/servers", member(group, m{"availability_zone": nil})); got.status != http.StatusServiceUnavailable || !strings.Contains(got.message(), "pod2") {
		t.Errorf("a member of a group that is away: %d %s, want 503 that names pod2", got.status, got.body)
	}
	demo.do("DELETE", groups+"/"+group, nil).want(t, 204)
	if got := demo.do("GET", groups, nil).want(t, 200).get("server_groups.#").Int(); got != 0 {
		t.Errorf("%d groups after the deletion", got)
	}
	eventually(t, "the deletion waits", func() string {
		for _, j := range r.jobs("pod=pod2&kind=server_group") {
			if strings.Contains(j.Get("reason").Str, "pod2") {
				return ""
			}
		}
		return "no job waits"
	})
	r.pod("pod2").Up()
	r.settled()
	if in := r.groupsIn(); len(in) != 0 {
		t.Errorf("the deleted group is in %v", in)
	}
	eventually(t, "pod2 takes requests", func() string { return string(demo.do("DELETE", compute+"/servers/"+id, nil).body) })
	eventually(t, "the server is gone", func() string { return strings.Join(demo.servers(), " ") })
	r.clean()
}

// TestServerGroupRepliesLost: whatever answer of the pod is lost while a first
// member is created, in the end one group has it, or there is none.
func TestServerGroupRepliesLost(t *testing.T) {
	t.Parallel()
	for _, path := range []string{`/os-server-groups$`, `/servers$`} {
		for _, lost := range []podtest.Fault{{DropReply: true}, {DropRequest: true}, {Hang: true}} {
			t.Run(fmt.Sprintf("%s %+v", path, lost), func(t *testing.T) {
				t.Parallel()
				r := newRegion(t, setup{config: brisk})
				demo := r.as("demo")
				group := demo.serverGroup("affinity")
				lost.Service, lost.Method, lost.Path, lost.Times = podtest.Compute, "POST", path, 1
				remove := r.pod("pod1").Fault(lost)
				first := demo.do("POST", compute+"/servers", member(group, m{"availability_zone": "az1"}))
				if first.status != 202 && first.status != 503 && first.status != 504 {
					t.Errorf("%d %s", first.status, first.body)
				}
				remove()
				second := demo.do("POST", compute+"/servers", member(group, m{"availability_zone": "az1"}))
				second.want(t, 202)
				r.settled()
				if in := r.groupsIn(); !slices.Equal(in, []string{"pod1"}) {
					t.Errorf("pods with the group: %v, want pod1 once", in)
				}
				if got, want := demo.members(group), demo.servers(); !slices.Equal(got, want) {
					t.Errorf("members %v, servers %v", got, want)
				}
				demo.remove(demo.servers()...)
				r.clean()
			})
		}
	}
}
