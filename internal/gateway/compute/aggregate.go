package compute

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// An aggregate of the region is the pods' aggregates of the same name and zone:
// its parts. It begins with one part and gets one in another pod with the first
// host of that pod. So it takes hosts of any pod, and nothing is remembered of it:
// the pods' lists tell all. Its ID is that of its first part, in order of the
// pods' numbers; the ID of every part leads to it.

// part is an aggregate of one pod.
type part struct {
	pod   string
	id    int64  // the region's number
	podID string // the pod's
	name  string
	zone  string   // the region's name; empty: none
	hosts []string // the region's names
	doc   gjson.Result
}

// aggregate is the parts of one, in order of their numbers. No pod has two.
type aggregate []part

// foreignZone stands before the zone of a part in a pod that does not have that zone.
// Such a part never has hosts, so Nova never sees a zone of that name.
const foreignZone = "@"

const noAggregate = "Aggregate %s could not be found."

// aggregates reads those of the region, in order of their IDs.
func (a *api) aggregates(ctx context.Context, by identity.Caller, r *gateway.Request) ([]aggregate, []answer, error) {
	answers, err := a.look(ctx, by, nil, question{Method: http.MethodGet, Path: "/os-aggregates", Version: versionOf(r), Op: "list aggregates"})
	if err != nil {
		return nil, nil, err
	}
	if err := a.listed(answers); err != nil {
		return nil, nil, err
	}
	var parts []part
	for _, n := range succeeded(answers) {
		for _, doc := range gjson.GetBytes(n.Body, "aggregates").Array() {
			parts = append(parts, a.partOf(r, n.Pod, doc))
		}
	}
	return assembled(parts), answers, nil
}

func (a *api) partOf(r *gateway.Request, podName string, doc gjson.Result) part {
	v := a.viewOf(r, podName)
	p := part{pod: podName, id: v.number(doc.Get("id").Int()), podID: doc.Get("id").Raw, name: doc.Get("name").Str, doc: doc}
	for _, host := range doc.Get("hosts").Array() {
		p.hosts = append(p.hosts, v.host(host.Str))
	}
	zone := doc.Get("availability_zone").Str
	if foreign, ok := strings.CutPrefix(zone, foreignZone); ok {
		p.zone = foreign
	} else {
		p.zone = v.zone(zone)
	}
	return p
}

// zoneFor is the pod's name for the zone of an aggregate. ok is false when the
// pod's hosts cannot be in it.
func (a *api) zoneFor(ctx context.Context, podName, zone string) (podZone string, ok bool, err error) {
	if zone == "" {
		return "", true, nil
	}
	list, _, err := a.Fleet.PodZones(ctx, zone)
	if err != nil {
		return "", false, err
	}
	for _, z := range list {
		if z.Pod == podName {
			return cmp.Or(z.Zone, fleet.DefaultPodZone), true, nil
		}
	}
	return foreignZone + zone, false, nil
}

// assembled puts together the parts of the same name and zone.
func assembled(parts []part) []aggregate {
	slices.SortFunc(parts, func(x, y part) int { return cmp.Compare(x.id, y.id) })
	index := map[[2]string]int{}
	var all []aggregate
	for _, p := range parts {
		key := [2]string{p.name, p.zone}
		i, ok := index[key]
		if !ok {
			i = len(all)
			index[key] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], p)
	}
	return all
}

// document is the aggregate as clients see it: the first part's, with the hosts of
// all.
func (g aggregate) document() json.RawMessage {
	doc := map[string]json.RawMessage{}
	g[0].doc.ForEach(func(k, value gjson.Result) bool {
		doc[k.Str] = json.RawMessage(value.Raw)
		return true
	})
	updated := ""
	for _, p := range g {
		updated = max(updated, p.doc.Get("updated_at").Str)
	}
	doc["id"], doc["hosts"] = mustJSON(g[0].id), mustJSON(g.hosts())
	if updated != "" {
		doc["updated_at"] = mustJSON(updated)
	}
	if g[0].zone != "" {
		doc["availability_zone"] = mustJSON(g[0].zone)
		doc["metadata"] = gateway.SetField(doc["metadata"], "availability_zone", g[0].zone)
	}
	return mustJSON(doc)
}

func (g aggregate) hosts() []string {
	hosts := []string{}
	for _, p := range g {
		hosts = append(hosts, p.hosts...)
	}
	return hosts
}

func (g aggregate) reply() *gateway.Reply {
	return gateway.JSON(http.StatusOK, map[string]any{"aggregate": g.document()})
}

// in is the part in a pod, if there is one.
func (g aggregate) in(podName string) (part, bool) {
	i := slices.IndexFunc(g, func(p part) bool { return p.pod == podName })
	if i < 0 {
		return part{}, false
	}
	return g[i], true
}

// with is the aggregate with parts as their pods show them now.
func (g aggregate) with(parts ...part) aggregate {
	out := slices.DeleteFunc(slices.Clone(g), func(o part) bool {
		return slices.ContainsFunc(parts, func(p part) bool { return p.pod == o.pod })
	})
	out = append(out, parts...)
	slices.SortFunc(out, func(x, y part) int { return cmp.Compare(x.id, y.id) })
	return out
}

// listAggregates is "GET /os-aggregates".
func (a *api) listAggregates(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	all, answers, err := a.aggregates(ctx, by, r)
	if err != nil {
		return nil, err
	}
	list := make([]json.RawMessage, 0, len(all))
	for _, g := range all {
		list = append(list, g.document())
	}
	return a.merged(map[string]any{"aggregates": list}, answers), nil
}

// showAggregate is "GET /os-aggregates/{id}".
func (a *api) showAggregate(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := a.findAggregate(ctx, by, r)
	if err != nil {
		return nil, err
	}
	return f.aggregate.reply().Without(missing(f.answers)...), nil
}

// found is the aggregate that a path names, among the others.
type found struct {
	aggregate
	shown   string // its ID in the path
	all     []aggregate
	answers []answer
}

// findAggregate finds the one that the path names.
func (a *api) findAggregate(ctx context.Context, by identity.Caller, r *gateway.Request) (found, error) {
	at, err := a.number(ctx, r.Param("id"), noAggregate)
	if err != nil {
		return found{}, integer(r.Param("id"), err)
	}
	all, answers, err := a.aggregates(ctx, by, r)
	if err != nil {
		return found{}, err
	}
	for _, n := range answers {
		if n.Pod == at.pod && n.Err != nil {
			return found{}, n.Err
		}
	}
	for _, g := range all {
		if p, ok := g.in(at.pod); ok && p.podID == at.id {
			return found{g, strconv.FormatInt(p.id, 10), all, answers}, nil
		}
	}
	return found{}, fault.New(fault.NotFound, "", noAggregate, at.shown)
}

// complete is nil if no pod is away, which might have a part too.
func (f found) complete() error {
	for _, n := range f.answers {
		if n.Err != nil {
			return n.Err
		}
	}
	return nil
}

// named says whether another aggregate has the name.
func (f found) named(name string) bool {
	return slices.ContainsFunc(f.all, func(g aggregate) bool { return g[0].name == name && g[0].id != f.aggregate[0].id })
}
