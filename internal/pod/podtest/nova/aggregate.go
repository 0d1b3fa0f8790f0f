package nova

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type aggregate struct {
	id               int
	uuid, name       string
	hosts            []string
	metadata         map[string]string
	created, updated any
}

func (g *aggregate) zone() any {
	if zone, ok := g.metadata["availability_zone"]; ok {
		return zone
	}
	return nil
}

// zoneOf is the zone of a host: that of an aggregate, or the pod's.
func (s *Server) zoneOf(host string) string {
	for _, g := range s.aggregates {
		if zone := g.metadata["availability_zone"]; zone != "" && slices.Contains(g.hosts, host) {
			return zone
		}
	}
	return s.Zone
}

// zones are those that have hosts.
func (s *Server) zones() []string {
	var out []string
	for _, host := range s.hosts {
		out = append(out, s.zoneOf(host))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hostIn is the host for a new server.
func (s *Server) hostIn(zone string) string {
	for _, host := range s.hosts {
		if zone == "" || s.zoneOf(host) == zone {
			return host
		}
	}
	return s.Host
}

func (g *aggregate) doc(r *rest.Request) rest.Doc {
	d := rest.Doc{
		"id": g.id, "name": g.name, "availability_zone": g.zone(), "hosts": slices.Clone(g.hosts), "metadata": maps.Clone(g.metadata),
		"created_at": g.created, "updated_at": g.updated, "deleted_at": nil, "deleted": false,
	}
	if r.Minor >= 41 {
		d["uuid"] = g.uuid
	}
	return d
}

func (s *Server) listAggregates(r *rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, g := range s.aggregates {
		out = append(out, g.doc(r))
	}
	return rest.OK(rest.Doc{"aggregates": out})
}

func (s *Server) createAggregate(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "aggregate")
	if err == nil {
		err = checkName(in["name"])
	}
	if err != nil {
		return nil, err
	}
	name := strings.TrimSpace(rest.Str(in, "name"))
	if slices.ContainsFunc(s.aggregates, func(g *aggregate) bool { return g.name == name }) {
		return nil, fail(http.StatusConflict, "Aggregate %s already exists.", name)
	}
	s.lastAggregate++
	g := &aggregate{id: s.lastAggregate, uuid: uuid.NewString(), name: name, hosts: []string{}, metadata: map[string]string{}, created: micros(s.Now())}
	if zone := rest.Str(in, "availability_zone"); zone != "" {
		g.metadata["availability_zone"] = zone
	}
	s.aggregates = append(s.aggregates, g)
	d := g.doc(r)
	delete(d, "hosts")
	delete(d, "metadata")
	return rest.OK(rest.Doc{"aggregate": d})
}

func (s *Server) onAggregate(do func(*rest.Request, *aggregate) (*rest.Reply, error)) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		if _, err := strconv.Atoi(r.Param("id")); err != nil {
			return nil, badRequest("Invalid input received: id must be an integer")
		}
		for _, g := range s.aggregates {
			if strconv.Itoa(g.id) == r.Param("id") {
				return do(r, g)
			}
		}
		return nil, fail(http.StatusNotFound, "Aggregate %s could not be found.", r.Param("id"))
	}
}

func (s *Server) showAggregate(r *rest.Request, g *aggregate) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"aggregate": g.doc(r)})
}

func (s *Server) changedAggregate(r *rest.Request, g *aggregate) (*rest.Reply, error) {
	g.updated = micros(s.Now())
	return s.showAggregate(r, g)
}

func (s *Server) updateAggregate(r *rest.Request, g *aggregate) (*rest.Reply, error) {
	in, _, err := body(r, "aggregate")
	if err != nil {
		return nil, err
	}
	if name, ok := in["name"].(string); ok {
		if slices.ContainsFunc(s.aggregates, func(o *aggregate) bool { return o != g && o.name == name }) {
			return nil, fail(http.StatusConflict, "Aggregate %s already exists.", name)
		}
		g.name = name
	}
	if zone, ok := in["availability_zone"]; ok {
		if err := s.setAggregateZone(g, zone, "Cannot update aggregate %d. Reason: %s."); err != nil {
			return nil, err
		}
	}
	return s.changedAggregate(r, g)
}

// setAggregateZone refuses to take a zone away, or from under servers.
func (s *Server) setAggregateZone(g *aggregate, zone any, reason string) error {
	text, _ := zone.(string)
	if text == "" {
		return badRequest(reason, g.id, "Aggregate "+g.name+" does not support empty named availability zone")
	}
	for _, v := range s.servers {
		if v.placed && slices.Contains(g.hosts, v.host) && g.metadata["availability_zone"] != text {
			return badRequest(reason, g.id, "One or more hosts contain instances in this zone")
		}
	}
	g.metadata["availability_zone"] = text
	return nil
}

func (s *Server) deleteAggregate(_ *rest.Request, g *aggregate) (*rest.Reply, error) {
	if len(g.hosts) > 0 {
		return nil, badRequest("Cannot remove host from aggregate %d. Reason: Host aggregate is not empty.", g.id)
	}
	s.aggregates = slices.DeleteFunc(s.aggregates, func(o *aggregate) bool { return o == g })
	return &rest.Reply{Status: http.StatusOK}, nil
}

func (s *Server) actOnAggregate(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil || len(in) != 1 {
		return nil, badRequest("Malformed request body")
	}
	name := sortedKeys(in)[0]
	args, _ := in[name].(rest.Doc)
	actions := map[string]func(*rest.Request, *aggregate, rest.Doc) (*rest.Reply, error){
		"add_host": s.addHost, "remove_host": s.removeHost, "set_metadata": s.setAggregateMetadata,
	}
	act, ok := actions[name]
	if !ok {
		return nil, badRequest("There is no such action: %s", name)
	}
	return s.onAggregate(func(r *rest.Request, g *aggregate) (*rest.Reply, error) { return act(r, g, args) })(r)
}

func (s *Server) addHost(r *rest.Request, g *aggregate, in rest.Doc) (*rest.Reply, error) {
	host := rest.Str(in, "host")
	switch {
	case !slices.Contains(s.hosts, host):
		return nil, fail(http.StatusNotFound, "Compute host %s could not be found.", host)
	case slices.Contains(g.hosts, host):
		return nil, fail(http.StatusConflict, "Aggregate %d already has host %s.", g.id, host)
	}
	for _, o := range s.aggregates {
		if theirs := o.metadata["availability_zone"]; o != g && theirs != "" && g.zone() != nil && theirs != g.zone() && slices.Contains(o.hosts, host) {
			return nil, fail(http.StatusConflict, "Cannot add host to aggregate %d. Reason: One or more hosts already in availability zone(s) ['%s'].", g.id, theirs)
		}
	}
	g.hosts = append(g.hosts, host)
	return s.showAggregate(r, g)
}

func (s *Server) removeHost(r *rest.Request, g *aggregate, in rest.Doc) (*rest.Reply, error) {
	host := rest.Str(in, "host")
	if !slices.Contains(g.hosts, host) {
		return nil, fail(http.StatusNotFound, "Cannot remove host %s in aggregate %d", host, g.id)
	}
	g.hosts = slices.DeleteFunc(g.hosts, func(o string) bool { return o == host })
	return s.showAggregate(r, g)
}

func (s *Server) setAggregateMetadata(r *rest.Request, g *aggregate, in rest.Doc) (*rest.Reply, error) {
	metadata, _ := in["metadata"].(rest.Doc)
	if zone, ok := metadata["availability_zone"]; ok {
		if err := s.setAggregateZone(g, zone, "Cannot update metadata of aggregate %d. Reason: %s."); err != nil {
			return nil, err
		}
	}
	for k, v := range metadata {
		if v == nil {
			delete(g.metadata, k)
			continue
		}
		g.metadata[k] = rest.Text(v)
	}
	return s.changedAggregate(r, g)
}
