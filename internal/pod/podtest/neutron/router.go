package neutron

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// maxRoutes is Neutron's max_routes, as stock pods have it.
const maxRoutes = 30

func (s *Server) routerKind() *resource {
	return &resource{
		server: s, path: "routers", single: "router", plural: "routers", store: &s.routers,
		attrs: standard(map[string]attribute{
			"name":                    {post: true, put: true, kind: "string"},
			"admin_state_up":          {post: true, put: true, kind: "bool"},
			"external_gateway_info":   {post: true, put: true, null: true, kind: "dict"},
			"routes":                  {put: true, kind: "list"},
			"distributed":             {post: true, put: true, admin: true, hidden: true, kind: "bool"},
			"ha":                      {post: true, put: true, admin: true, hidden: true, kind: "bool"},
			"flavor_id":               {post: true},
			"availability_zone_hints": {post: true, kind: "list"},
			"availability_zones":      {},
		}),
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) },
		missing: routerMissing,
		make:    s.makeRouter, change: s.changeRouter, drop: s.dropRouter,
		render: s.renderRouter,
	}
}

func routerMissing(id string) error {
	return rest.Errorf(404, "RouterNotFound", "Router %s could not be found", id)
}

func (s *Server) renderRouter(d rest.Doc) rest.Doc {
	d["external_gateway_info"] = nil
	if gw := s.gatewayOf(rest.Str(d, "id")); gw != nil {
		d["external_gateway_info"] = rest.Doc{"network_id": gw["network_id"], "external_fixed_ips": gw["fixed_ips"], "enable_snat": d["enable_snat"]}
		if policy := rest.Str(d, "qos_policy_id"); policy != "" {
			d["external_gateway_info"].(rest.Doc)["qos_policy_id"] = policy
		}
	}
	delete(d, "enable_snat")
	delete(d, "qos_policy_id")
	return d
}

func (s *Server) makeRouter(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	if err := s.within("router", rest.Str(in, "project_id")); err != nil {
		return nil, err
	}
	d := rest.Doc{
		"id": uuid.NewString(), "name": "", "admin_state_up": true, "status": statusActive, "enable_snat": true, "routes": []rest.Doc{},
		"distributed": false, "ha": false, "flavor_id": nil, "availability_zone_hints": []string{}, "availability_zones": []string{},
		"project_id": in["project_id"],
	}
	copyIn(d, in, "name", "admin_state_up", "distributed", "ha", "availability_zone_hints")
	return d, s.setGateway(c, d, in)
}

func (s *Server) changeRouter(c rest.Caller, d, in rest.Doc) error {
	for _, name := range []string{"distributed", "ha"} {
		// Neutron changes what a router is while it is down only.
		if v, ok := in[name]; ok && v != d[name] && rest.Bool(d, "admin_state_up") {
			return rest.Errorf(400, "BadRequest", "Bad router request: Cannot upgrade active router to distributed. Please set router admin_state_up to False prior to upgrade.")
		}
	}
	if list, ok := in["routes"]; ok {
		routes := rest.Docs(rest.Doc{"l": list}, "l")
		if err := s.checkRoutes(d, routes, s.routerPorts(rest.Str(d, "id"))); err != nil {
			return err
		}
		d["routes"] = routes
	}
	if err := s.setGateway(c, d, in); err != nil {
		return err
	}
	copyIn(d, in, "name", "admin_state_up", "description", "distributed", "ha")
	return nil
}

func (s *Server) routerPorts(router string) []rest.Doc {
	return s.ports.Where(func(p rest.Doc) bool {
		return p["device_id"] == router && strings.HasPrefix(rest.Str(p, "device_owner"), "network:router_")
	})
}

// checkRoutes holds routes against the subnets and addresses of the ports.
func (s *Server) checkRoutes(router rest.Doc, routes, ports []rest.Doc) error {
	if len(routes) > maxRoutes {
		return rest.Errorf(400, "RoutesExhausted",
			"Unable to complete operation for %s. The number of routes exceeds the maximum %d.", router["id"], maxRoutes)
	}
	var cidrs []netip.Prefix
	var own []netip.Addr
	for _, p := range ports {
		for _, ip := range rest.Docs(p, "fixed_ips") {
			cidrs = append(cidrs, s.cidr(ip))
			own = append(own, parse(ip, "ip_address"))
		}
	}
	for _, r := range routes {
		to, via := rest.Str(r, "destination"), parse(r, "nexthop")
		if p, err := netip.ParsePrefix(to); err != nil || !via.IsValid() {
			return badRequest("Invalid input for routes. Reason: '%s' is not a valid CIDR.", to)
		} else if p != p.Masked() {
			return badRequest("Invalid input for routes. Reason: '%s' is not a recognized CIDR, '%s' is recommended.", to, p.Masked())
		}
		if !slices.ContainsFunc(cidrs, func(p netip.Prefix) bool { return p.Contains(via) }) {
			return badRoutes(routes, "the nexthop is not connected with router")
		}
		if slices.Contains(own, via) {
			return badRoutes(routes, "the nexthop is used by router")
		}
	}
	return nil
}

func badRoutes(routes []rest.Doc, reason string) error {
	return rest.Errorf(400, "InvalidRoutes", "Invalid format for routes: %s, %s", rest.Text(routes), reason)
}

func (s *Server) cidr(ip rest.Doc) netip.Prefix {
	return netip.MustParsePrefix(rest.Str(s.subnets.Find(rest.Str(ip, "subnet_id")), "cidr"))
}

func (s *Server) dropRouter(_ rest.Caller, d rest.Doc) error {
	attached := []string{}
	for _, p := range s.routerPorts(rest.Str(d, "id")) {
		if p["device_owner"] == routerOwner {
			attached = append(attached, rest.Str(p, "id"))
		}
	}
	if len(attached) > 0 {
		return conflict("RouterInUse", "Router %s has ports still attached: %s", d["id"], strings.Join(attached, ", "))
	}
	return s.setGateway(rest.Caller{Roles: []string{"admin"}}, d, rest.Doc{"external_gateway_info": nil})
}
