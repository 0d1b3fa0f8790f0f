package neutron

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

const forwardingPath = "/v2.0/floatingips/{float}/port_forwardings"

var forwardingFields = []string{"protocol", "internal_port_id", "internal_ip_address", "internal_port", "external_port",
	"internal_port_range", "external_port_range", "description"}

func (s *Server) forwardingsOf(float string) []rest.Doc {
	return s.forwards.Where(func(f rest.Doc) bool { return f["_float"] == float })
}

func badForwarding(format string, args ...any) error {
	return rest.Errorf(400, "BadRequest", "Bad port_forwarding request: "+format+".", args...)
}

// forwardingRequest finds the floating IP of the path, and the forwarding if
// the path names one.
func (s *Server) forwardingRequest(r *rest.Request) (float, forwarding rest.Doc, err error) {
	if float, err = s.floatingKind().find(r.Caller, r.Param("float")); err != nil {
		return nil, nil, err
	}
	id := r.Param("id")
	if id == "" {
		return float, nil, nil
	}
	if forwarding = s.forwards.Find(id); forwarding == nil || forwarding["_float"] != float["id"] {
		return nil, nil, rest.Errorf(http.StatusNotFound, "PortForwardingNotFound", "Port Forwarding %s could not be found.", id)
	}
	return float, forwarding, nil
}

func forwardingDoc(f rest.Doc) rest.Doc {
	out := rest.Doc{}
	copyIn(out, f, append([]string{"id"}, forwardingFields...)...)
	return out
}

func (s *Server) listForwardings(r *rest.Request) (*rest.Reply, error) {
	float, _, err := s.forwardingRequest(r)
	if err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, f := range s.forwardingsOf(rest.Str(float, "id")) {
		if ok, err := matches(f, r.URL.Query()); err == nil && ok {
			out = append(out, forwardingDoc(f))
		}
	}
	return rest.OK(rest.Doc{"port_forwardings": out})
}

func (s *Server) showForwarding(r *rest.Request) (*rest.Reply, error) {
	_, f, err := s.forwardingRequest(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"port_forwarding": forwardingDoc(f)})
}

// forwardingBody reads a body; one port may be said as a range of one.
func forwardingBody(r *rest.Request) (rest.Doc, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, badRequest("Body contains invalid data")
	}
	in, ok := body["port_forwarding"].(rest.Doc)
	if !ok {
		return nil, badRequest("Unable to find 'port_forwarding' in request body")
	}
	out := rest.Doc{}
	copyIn(out, in, forwardingFields...)
	for _, side := range []string{"internal", "external"} {
		one, span := side+"_port", side+"_port_range"
		if n, ok := rest.Number(in[one]); ok {
			out[one], out[span] = int(n), fmt.Sprintf("%d:%d", int(n), int(n))
		} else if text := rest.Str(in, span); text != "" {
			if !strings.Contains(text, ":") {
				text += ":" + text
			}
			first, last, err := bothPorts(text)
			if err != nil {
				return nil, badForwarding("Invalid port value, the port value must be a value between 1 and 65535.")
			}
			out[span] = text
			if out[one] = first; first != last {
				out[one] = nil
			}
		}
	}
	return out, nil
}

func bothPorts(text string) (first, last int, err error) {
	_, err = fmt.Sscanf(text, "%d:%d", &first, &last)
	return first, last, err
}

func (s *Server) makeForwarding(r *rest.Request) (*rest.Reply, error) {
	float, _, err := s.forwardingRequest(r)
	if err != nil {
		return nil, err
	}
	f, err := forwardingBody(r)
	if err != nil {
		return nil, err
	}
	f["id"], f["_float"] = uuid.NewString(), float["id"]
	if _, ok := f["description"]; !ok {
		f["description"] = ""
	}
	if err := s.checkForwarding(r.Caller, float, f); err != nil {
		return nil, err
	}
	s.forwards.Put(rest.Str(f, "id"), f)
	s.floatStatus(float)
	return rest.Created(rest.Doc{"port_forwarding": forwardingDoc(f)})
}

// checkForwarding holds a new or changed forwarding against the others, the
// port, and the router, and gives the floating IP that router.
func (s *Server) checkForwarding(c rest.Caller, float, f rest.Doc) error {
	for _, o := range s.forwards.All() {
		if o["id"] == f["id"] || o["protocol"] != f["protocol"] {
			continue
		}
		const words = "There is a port collision with the %s. The following ranges collides: %s and %s"
		if o["_float"] == float["id"] && collide(o, f, "external_port_range") {
			return badForwarding(words, "external_port_range", o["external_port_range"], f["external_port_range"])
		}
		if o["internal_port_id"] == f["internal_port_id"] && o["internal_ip_address"] == f["internal_ip_address"] && collide(o, f, "internal_port_range") {
			return badForwarding(words, "internal_port_range", o["internal_port_range"], f["internal_port_range"])
		}
	}
	port, err := s.portKind().find(c, rest.Str(f, "internal_port_id"))
	if err != nil {
		return err
	}
	for _, o := range s.floats.All() {
		if o["port_id"] == port["id"] {
			return conflict("PortHasBindingFloatingIP",
				"Cannot create port forwarding to floating IP %s (%s) with port %s using fixed IP %s, as that port already has a binding floating IP.",
				o["floating_ip_address"], o["id"], port["id"], f["internal_ip_address"])
		}
	}
	if float["port_id"] != nil {
		return conflict("FloatingIPPortAlreadyAssociated",
			"Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
			float["floating_ip_address"], float["id"], port["id"], f["internal_ip_address"], float["floating_network_id"])
	}
	ip, err := inside(port, rest.Str(f, "internal_ip_address"))
	if err != nil {
		return badForwarding("The internal IP does not correspond to an address on the internal port, which has fixed_ips %s", rest.Text(port["fixed_ips"]))
	}
	f["internal_ip_address"] = ip["ip_address"]
	router := s.routerFor(port, rest.Str(ip, "subnet_id"), rest.Str(float, "floating_network_id"))
	switch have := rest.Str(float, "router_id"); {
	case router == "":
		return badForwarding("External network %s is not reachable from subnet %s. Cannot set Port forwarding for port %s with Floating IP %s",
			float["floating_network_id"], ip["subnet_id"], port["id"], float["id"])
	case have != "" && have != router:
		return badForwarding("The Floating IP %s had been set on router %s, the internal Neutron port %s can not reach it", float["id"], have, port["id"])
	}
	float["router_id"] = router
	return nil
}

func collide(a, b rest.Doc, name string) bool {
	a1, a2, err1 := bothPorts(rest.Str(a, name))
	b1, b2, err2 := bothPorts(rest.Str(b, name))
	return err1 == nil && err2 == nil && max(a1, b1) <= min(a2, b2)
}

func (s *Server) changeForwarding(r *rest.Request) (*rest.Reply, error) {
	float, f, err := s.forwardingRequest(r)
	if err != nil {
		return nil, err
	}
	in, err := forwardingBody(r)
	if err != nil {
		return nil, err
	}
	next := rest.Doc{}
	for k, v := range f {
		next[k] = v
	}
	for k, v := range in {
		next[k] = v
	}
	if err := s.checkForwarding(r.Caller, float, next); err != nil {
		return nil, err
	}
	for k, v := range next {
		f[k] = v
	}
	return rest.OK(rest.Doc{"port_forwarding": forwardingDoc(f)})
}

func (s *Server) dropForwarding(r *rest.Request) (*rest.Reply, error) {
	_, f, err := s.forwardingRequest(r)
	if err != nil {
		return nil, err
	}
	s.removeForwarding(f)
	return rest.NoContent()
}

// removeForwarding takes a forwarding away; with the last one the floating IP
// leaves its router.
func (s *Server) removeForwarding(f rest.Doc) {
	s.forwards.Delete(rest.Str(f, "id"))
	float := s.floats.Find(rest.Str(f, "_float"))
	if float != nil && len(s.forwardingsOf(rest.Str(float, "id"))) == 0 && rest.Str(float, "port_id") == "" {
		float["router_id"] = nil
		s.floatStatus(float)
	}
}
