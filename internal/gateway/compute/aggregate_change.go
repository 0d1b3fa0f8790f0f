package compute

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// createAggregate is "POST /os-aggregates": the first part, in a pod of the zone
// named, else in the first that answers.
func (a *api) createAggregate(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	wish := gjson.GetBytes(body, "aggregate")
	name, zone := wish.Get("name"), wish.Get("availability_zone")
	if !gjson.ValidBytes(body) || name.Type != gjson.String || zone.Type != gjson.String && zone.Type != gjson.Null {
		return a.toSomePod(ctx, by, r)
	}
	all, answers, err := a.aggregates(ctx, by, r)
	if err != nil {
		return nil, err
	}
	plain := strings.TrimSpace(name.Str)
	if slices.ContainsFunc(all, func(g aggregate) bool { return g[0].name == plain }) {
		return nil, fault.New(fault.Conflict, "", "Aggregate %s already exists.", plain)
	}
	podName, podZone, err := a.home(ctx, answers, strings.TrimSpace(zone.Str))
	if err != nil {
		return nil, err
	}
	if zone.Type == gjson.String && strings.TrimSpace(zone.Str) != "" {
		body = gateway.Splice(body, []gateway.Edit{gateway.Instead(zone, quote(podZone))})
	}
	n := a.ask(context.WithoutCancel(ctx), by, podName, question{
		Method: http.MethodPost, Path: "/os-aggregates", Body: body, Version: versionOf(r), Op: "create aggregate",
	})
	if n.Err != nil {
		return nil, n.Err
	}
	ours := strings.TrimSpace(zone.Str)
	return a.replyWith(r, n, func(v view, body []byte) []byte {
		if ours != "" {
			body = gateway.SetField(body, "aggregate.availability_zone", ours)
		}
		return shaped("aggregate", shape{numbers: []string{"id"}})(v, body)
	})
}

// home is the pod for the first part of an aggregate, and its name for the zone.
func (a *api) home(ctx context.Context, answers []answer, zone string) (podName, podZone string, err error) {
	names := a.byNumber(ctx, succeeded(answers))
	for _, name := range names {
		podZone, ok, err := a.zoneFor(ctx, name, zone)
		if err != nil || ok {
			return name, podZone, err
		}
	}
	podZone, _, err = a.zoneFor(ctx, names[0], zone)
	return names[0], podZone, err
}

// byNumber is the pods of the answers in order of their numbers: every replica
// takes the same first.
func (a *api) byNumber(_ context.Context, answers []answer) []string {
	names := make([]string, 0, len(answers))
	for _, n := range answers {
		names = append(names, n.Pod)
	}
	slices.SortFunc(names, func(x, y string) int {
		return int(a.Fleet.RegionNumber(x, 0) - a.Fleet.RegionNumber(y, 0))
	})
	return names
}

// updateAggregate is "PUT /os-aggregates/{id}".
func (a *api) updateAggregate(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	return a.changeAggregate(ctx, by, r, aggregateChange{
		method: http.MethodPut, reason: "Cannot update aggregate %s. Reason: %s.", name: strings.TrimSpace(gjson.GetBytes(body, "aggregate.name").Str),
		zone: gjson.GetBytes(body, "aggregate.availability_zone"),
	})
}

// setAggregateMetadata is the action "set_metadata".
func (a *api) setAggregateMetadata(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	return a.changeAggregate(ctx, by, r, aggregateChange{
		method: http.MethodPost, suffix: "/action", reason: "Cannot update metadata of aggregate %s. Reason: %s.",
		zone: gjson.GetBytes(body, "set_metadata.metadata.availability_zone"),
	})
}

// aggregateChange is one that all parts of an aggregate get.
type aggregateChange struct {
	method, suffix string
	reason         string // the message of a refusal: of whom, and why
	name           string // the new one, if any
	zone           gjson.Result
}

// changeAggregate makes the change in every part. Those with hosts come first, as
// only they can be refused; a name that got no further than some parts is taken
// back, since parts belong together by their name.
func (a *api) changeAggregate(ctx context.Context, by identity.Caller, r *gateway.Request, c aggregateChange) (*gateway.Reply, error) {
	f, err := a.findAggregate(ctx, by, r)
	if err == nil {
		err = f.complete()
	}
	if err != nil {
		return nil, err
	}
	if c.name != "" && f.named(c.name) {
		return nil, fault.New(fault.Conflict, "", "Aggregate %s already exists.", c.name)
	}
	if c.zone.Type == gjson.String && c.zone.Str != "" {
		if err := a.checkAggregateZone(ctx, f, c); err != nil {
			return nil, err
		}
	}
	ctx = context.WithoutCancel(ctx)
	parts := slices.Clone(f.aggregate)
	slices.SortStableFunc(parts, func(x, y part) int { return len(y.hosts) - len(x.hosts) })
	var changed []part
	for _, p := range parts {
		now, err := a.changePart(ctx, by, r, p, c)
		if err != nil {
			return nil, a.takeNameBack(ctx, by, r, f, changed, c, err)
		}
		changed = append(changed, now)
	}
	return f.with(changed...).reply(), nil
}

// checkAggregateZone refuses a zone in which hosts of the aggregate cannot be.
func (a *api) checkAggregateZone(ctx context.Context, f found, c aggregateChange) error {
	for _, p := range f.aggregate {
		if _, ok, err := a.zoneFor(ctx, p.pod, c.zone.Str); err != nil || !ok && len(p.hosts) > 0 {
			if err != nil {
				return err
			}
			return fault.New(fault.Invalid, "", c.reason, f.shown, a.otherZone(p.pod))
		}
	}
	return nil
}

// otherZone is Nova's reason why a host cannot be in a zone.
func (a *api) otherZone(podName string) string {
	return fmt.Sprintf("One or more hosts already in availability zone(s) ['%s']", a.Fleet.ZoneOf(podName))
}

func (a *api) changePart(ctx context.Context, by identity.Caller, r *gateway.Request, p part, c aggregateChange) (part, error) {
	body, err := r.Bytes()
	if err != nil {
		return part{}, err
	}
	if c.zone.Type == gjson.String && c.zone.Str != "" {
		podZone, _, err := a.zoneFor(ctx, p.pod, c.zone.Str)
		if err != nil {
			return part{}, err
		}
		body = gateway.Splice(body, []gateway.Edit{gateway.Instead(c.zone, quote(podZone))})
	}
	return a.tellPart(ctx, by, r, p, question{
		Method: c.method, Path: "/os-aggregates/" + p.podID + c.suffix, Body: body, Version: versionOf(r), Op: "change aggregate",
	})
}

// tellPart puts a change to a part's pod and returns the part as it is then.
func (a *api) tellPart(ctx context.Context, by identity.Caller, r *gateway.Request, p part, q question) (part, error) {
	n := a.ask(ctx, by, p.pod, q)
	if n.Err != nil {
		return part{}, numbered{p.pod, p.podID, r.Param("id")}.shownIn(n.Err)
	}
	doc := gjson.GetBytes(n.Body, "aggregate")
	if !doc.Get("hosts").IsArray() {
		return part{}, notExpected(r, p.pod)
	}
	return a.partOf(r, p.pod, doc), nil
}

// takeNameBack undoes a change of name in the parts that have it. What else of a
// change some parts have is said.
func (a *api) takeNameBack(ctx context.Context, by identity.Caller, r *gateway.Request, f found, changed []part, c aggregateChange, cause error) error {
	var left []answer
	for _, p := range changed {
		if c.name != "" {
			body := mustJSON(map[string]any{"aggregate": map[string]any{"name": f.aggregate[0].name}})
			q := question{Method: http.MethodPut, Path: "/os-aggregates/" + p.podID, Body: body, Version: versionOf(r), Op: "change aggregate"}
			if a.ask(ctx, by, p.pod, q).Err == nil && c.zone.Type == gjson.Null {
				continue
			}
		}
		left = append(left, answer{Pod: p.pod})
	}
	return partly(cause, left, "changed")
}

// deleteAggregate is "DELETE /os-aggregates/{id}". The part that the path names
// goes last, so that the request can be repeated.
func (a *api) deleteAggregate(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := a.findAggregate(ctx, by, r)
	if err == nil {
		err = f.complete()
	}
	if err != nil {
		return nil, err
	}
	if len(f.hosts()) > 0 {
		return nil, fault.New(fault.Invalid, "", "Cannot remove host from aggregate %s. Reason: Host aggregate is not empty.", f.shown)
	}
	ctx = context.WithoutCancel(ctx)
	parts := slices.Clone(f.aggregate)
	slices.SortStableFunc(parts, func(x, y part) int { return isNamed(x, r) - isNamed(y, r) })
	for _, p := range parts {
		n := a.deletePart(ctx, by, r, p)
		if n != nil && !fault.Is(n, fault.NotFound) {
			return nil, numbered{p.pod, p.podID, f.shown}.shownIn(n)
		}
	}
	return gateway.Empty(http.StatusOK), nil
}

func isNamed(p part, r *gateway.Request) int {
	if r.Param("id") == fmt.Sprint(p.id) {
		return 1
	}
	return 0
}

func (a *api) deletePart(ctx context.Context, by identity.Caller, r *gateway.Request, p part) error {
	return a.ask(ctx, by, p.pod, question{Method: http.MethodDelete, Path: "/os-aggregates/" + p.podID, Version: versionOf(r), Op: "delete aggregate"}).Err
}

// cacheImages is "POST /os-aggregates/{id}/images": in every part that has hosts.
func (a *api) cacheImages(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := a.findAggregate(ctx, by, r)
	if err == nil {
		err = f.complete()
	}
	if err != nil {
		return nil, err
	}
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	parts := slices.DeleteFunc(slices.Clone(f.aggregate), func(p part) bool { return len(p.hosts) == 0 })
	if len(parts) == 0 {
		parts = f.aggregate[:1]
	}
	var done []answer
	for _, p := range parts {
		q.Path = withID(r, p.podID)
		n := a.ask(context.WithoutCancel(ctx), by, p.pod, q)
		if n.Err != nil {
			return nil, partly(numbered{p.pod, p.podID, f.shown}.shownIn(n.Err), done, "begun")
		}
		done = append(done, n)
	}
	return gateway.Empty(http.StatusAccepted), nil
}

// partly adds to an error what was done in other pods before.
func partly(err error, done []answer, what string) error {
	f, ok := faultOf(err)
	if !ok || len(done) == 0 {
		return err
	}
	names := make([]string, 0, len(done))
	for _, n := range done {
		names = append(names, n.Pod)
	}
	said := *f
	said.Message += " (" + what + " in pod " + strings.Join(names, ", ") + "; repeat the request once the trouble is over)"
	return &said
}
