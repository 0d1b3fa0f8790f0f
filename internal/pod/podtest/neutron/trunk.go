package neutron

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) trunkKind() *resource {
	return &resource{
		server: s, path: "trunks", single: "trunk", plural: "trunks", store: &s.trunks,
		attrs: standard(map[string]attribute{
			"name":           {post: true, put: true, kind: "string"},
			"admin_state_up": {post: true, put: true, kind: "bool"},
			"port_id":        {post: true, required: true, kind: "uuid"},
			"sub_ports":      {post: true, kind: "list"},
		}),
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) },
		missing: trunkMissing,
		make:    s.makeTrunk,
		change: func(_ rest.Caller, d, in rest.Doc) error {
			copyIn(d, in, "name", "description", "admin_state_up")
			return nil
		},
		drop: s.dropTrunk,
	}
}

func trunkMissing(id string) error {
	return rest.Errorf(http.StatusNotFound, "TrunkNotFound", "Trunk %s could not be found.", id)
}

func (s *Server) makeTrunk(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	parent, err := s.portKind().find(c, rest.Str(in, "port_id"))
	if err != nil {
		return nil, err
	}
	if err := s.unusedPort(parent); err != nil {
		return nil, err
	}
	if rest.Str(parent, bindingHost) != "" {
		return nil, notParent(parent["id"])
	}
	d := rest.Doc{"id": uuid.NewString(), "name": "", "admin_state_up": true, "status": statusDown, "port_id": parent["id"], "sub_ports": []rest.Doc{}}
	copyIn(d, in, "name", "admin_state_up")
	return d, s.addSubports(c, d, rest.Docs(in, "sub_ports"))
}

// unusedPort refuses a port that is in a trunk already.
func (s *Server) unusedPort(p rest.Doc) error {
	for _, t := range s.trunks.All() {
		if t["port_id"] == p["id"] {
			return notParent(p["id"])
		}
		for _, sub := range rest.Docs(t, "sub_ports") {
			if sub["port_id"] == p["id"] {
				return conflict("TrunkPortInUse", "Port %s is in use by another trunk.", p["id"])
			}
		}
	}
	return nil
}

func notParent(id any) error {
	return conflict("ParentPortInUse", "Port %s is currently in use and is not eligible for use as a parent port.", id)
}

func (s *Server) addSubports(c rest.Caller, trunk rest.Doc, add []rest.Doc) error {
	all := slices.Clone(rest.Docs(trunk, "sub_ports"))
	for _, sub := range add {
		p, err := s.portKind().find(c, rest.Str(sub, "port_id"))
		if err != nil {
			return err
		}
		if err := s.unusedPort(p); err != nil {
			return err
		}
		if p["id"] == trunk["port_id"] {
			return notParent(p["id"])
		}
		if rest.Str(p, "device_id") != "" {
			return conflict("PortInUse", "Unable to complete operation on port %s for network %s. Port already has an attached device %s.",
				p["id"], p["network_id"], p["device_id"])
		}
		n, ok := rest.Number(sub["segmentation_id"])
		if sub["segmentation_type"] != "vlan" || !ok {
			return invalid("Unknown segmentation_type '%v'.", sub["segmentation_type"])
		}
		if slices.ContainsFunc(all, func(o rest.Doc) bool { return o["segmentation_id"] == int(n) }) {
			return conflict("DuplicateSubPort", "segmentation_type vlan and segmentation_id %d already in use on trunk %s.", int(n), trunk["id"])
		}
		all = append(all, rest.Doc{"port_id": p["id"], "segmentation_type": "vlan", "segmentation_id": int(n)})
	}
	trunk["sub_ports"] = all
	return nil
}

func (s *Server) dropTrunk(_ rest.Caller, d rest.Doc) error {
	if err := managed(d); err != nil {
		return err
	}
	if parent := s.ports.Find(rest.Str(d, "port_id")); rest.Str(parent, bindingHost) != "" {
		return conflict("TrunkInUse", "Trunk %s is currently in use.", d["id"])
	}
	return nil
}

func managed(trunk rest.Doc) error {
	if rest.Bool(trunk, "admin_state_up") {
		return nil
	}
	return conflict("TrunkDisabled", "Trunk %s is currently disabled.", trunk["id"])
}

// changeSubports is an action on a trunk; its answer has no name around it.
func (s *Server) changeSubports(do func(r *rest.Request, trunk rest.Doc, subports []rest.Doc) error) func(*rest.Request) (*rest.Reply, error) {
	return func(r *rest.Request) (*rest.Reply, error) {
		body, err := r.JSON()
		if err != nil {
			return nil, badRequest("Body contains invalid data")
		}
		trunk, err := s.trunkKind().find(r.Caller, r.Param("id"))
		if err != nil {
			return nil, err
		}
		if err := managed(trunk); err != nil {
			return nil, err
		}
		if err := do(r, trunk, rest.Docs(body, "sub_ports")); err != nil {
			return nil, err
		}
		s.touch(trunk)
		return rest.OK(s.trunkKind().view(r.Caller, trunk))
	}
}

func (s *Server) addToTrunk(r *rest.Request, trunk rest.Doc, subports []rest.Doc) error {
	return s.addSubports(r.Caller, trunk, subports)
}

func (s *Server) removeFromTrunk(_ *rest.Request, trunk rest.Doc, subports []rest.Doc) error {
	all := slices.Clone(rest.Docs(trunk, "sub_ports"))
	for _, sub := range subports {
		i := slices.IndexFunc(all, func(o rest.Doc) bool { return o["port_id"] == sub["port_id"] })
		if i < 0 {
			return rest.Errorf(http.StatusNotFound, "SubPortNotFound", "SubPort %s on trunk %s could not be found.", sub["port_id"], trunk["id"])
		}
		all = slices.Delete(all, i, i+1)
	}
	trunk["sub_ports"] = all
	return nil
}

// trunked refuses to delete a port that is in a trunk.
func (s *Server) trunked(p rest.Doc) error {
	for _, t := range s.trunks.All() {
		if t["port_id"] == p["id"] {
			return conflict("PortInUseAsTrunkParent", "Port %s is currently a parent port for trunk %s.", p["id"], t["id"])
		}
		for _, sub := range rest.Docs(t, "sub_ports") {
			if sub["port_id"] == p["id"] {
				return conflict("PortInUseAsSubPort", "Port %s is currently a subport for trunk %s.", p["id"], t["id"])
			}
		}
	}
	return nil
}
