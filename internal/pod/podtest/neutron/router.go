package neutron

import (
	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) routerKind() *resource {
	return &resource{
		server: s, path: "routers", single: "router", plural: "routers", store: &s.routers,
		attrs: standard(map[string]attribute{
			"name":                    {post: true, put: true, kind: "string"},
			"admin_state_up":          {post: true, put: true, kind: "bool"},
			"external_gateway_info":   {post: true, put: true, null: true},
			"routes":                  {put: true, kind: "list"},
			"distributed":             {post: true, put: true, admin: true, hidden: true},
			"ha":                      {post: true, put: true, admin: true, hidden: true},
			"flavor_id":               {post: true},
			"availability_zone_hints": {post: true, kind: "list"},
			"availability_zones":      {},
		}),
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) },
		missing: routerMissing,
		make: func(_ rest.Caller, in rest.Doc) (rest.Doc, error) {
			d := rest.Doc{
				"id": uuid.NewString(), "name": "", "admin_state_up": true, "status": "ACTIVE", "external_gateway_info": nil, "routes": []rest.Doc{},
				"distributed": false, "ha": false, "flavor_id": nil, "availability_zone_hints": []string{}, "availability_zones": []string{},
			}
			copyIn(d, in, "name", "admin_state_up", "external_gateway_info")
			return d, nil
		},
		change: func(_ rest.Caller, d, in rest.Doc) error {
			copyIn(d, in, "name", "admin_state_up", "external_gateway_info", "routes", "description")
			return nil
		},
		drop: func(_ rest.Caller, d rest.Doc) error {
			for _, p := range s.ports.All() {
				if p["device_id"] == d["id"] {
					return conflict("RouterInUse", "Router %s still has ports", d["id"])
				}
			}
			return nil
		},
	}
}

func routerMissing(id string) error {
	return rest.Errorf(404, "RouterNotFound", "Router %s could not be found", id)
}

// addInterface puts a router into a subnet at its gateway address, or takes a
// port that is there.
func (s *Server) addInterface(r *rest.Request) (*rest.Reply, error) {
	router, err := s.routerKind().find(r.Caller, r.Param("id"))
	if err != nil {
		return nil, err
	}
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Body contains invalid data")
	}
	port := s.ports.Find(rest.Str(in, "port_id"))
	if id := rest.Str(in, "subnet_id"); id != "" {
		if port, err = s.gatewayPort(router, id); err != nil {
			return nil, err
		}
	}
	if port == nil {
		return nil, rest.Errorf(400, "BadRequest", "Bad router request: Either subnet_id or port_id must be specified.")
	}
	port["device_id"], port["device_owner"] = router["id"], routerOwner
	s.bind(port, s.Host)
	return rest.OK(interfaceDoc(router, port))
}

func (s *Server) gatewayPort(router rest.Doc, subnetID string) (rest.Doc, error) {
	subnet := s.subnets.Find(subnetID)
	if subnet == nil {
		return nil, missing("Subnet", subnetID)
	}
	if rest.Str(subnet, "gateway_ip") == "" {
		return nil, rest.Errorf(400, "BadRequest", "Bad router request: Subnet for router interface must have a gateway IP.")
	}
	c := rest.Caller{Roles: []string{"admin"}, ProjectID: rest.Str(router, "project_id")}
	return s.portKind().add(c, rest.Doc{
		"network_id": subnet["network_id"], "device_owner": routerOwner, "device_id": router["id"], "project_id": router["project_id"],
		"fixed_ips": []any{rest.Doc{"subnet_id": subnetID, "ip_address": subnet["gateway_ip"]}},
	})
}

func interfaceDoc(router, port rest.Doc) rest.Doc {
	subnets := []any{}
	for _, ip := range rest.Docs(port, "fixed_ips") {
		subnets = append(subnets, ip["subnet_id"])
	}
	doc := rest.Doc{
		"id": router["id"], "tenant_id": router["project_id"], "project_id": router["project_id"], "port_id": port["id"],
		"network_id": port["network_id"], "subnet_ids": subnets, "tags": []string{},
	}
	if len(subnets) > 0 {
		doc["subnet_id"] = subnets[0]
	}
	return doc
}

func (s *Server) removeInterface(r *rest.Request) (*rest.Reply, error) {
	router, err := s.routerKind().find(r.Caller, r.Param("id"))
	if err != nil {
		return nil, err
	}
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Body contains invalid data")
	}
	for _, p := range s.ports.All() {
		if p["device_id"] != router["id"] {
			continue
		}
		if p["id"] == in["port_id"] || hasSubnet(p, rest.Str(in, "subnet_id")) {
			s.ports.Delete(rest.Str(p, "id"))
			return rest.OK(interfaceDoc(router, p))
		}
	}
	return nil, rest.Errorf(404, "RouterInterfaceNotFound", "Router %s does not have an interface with id %s", router["id"], in["port_id"])
}
