package nova

import (
	"errors"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) listAddresses(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"addresses": s.addresses(v, false)})
}

func (s *Server) showAddresses(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	list, ok := s.addresses(v, false)[r.Param("network")]
	if !ok {
		return nil, fail(http.StatusNotFound, "Instance is not a member of specified network")
	}
	return rest.OK(rest.Doc{r.Param("network"): list})
}

func interfaceDoc(p rest.Doc) rest.Doc {
	return rest.Doc{
		"net_id": p["network_id"], "port_id": p["id"], "mac_addr": p["mac_address"], "port_state": p["status"], "fixed_ips": p["fixed_ips"],
	}
}

func (s *Server) listInterfaces(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, p := range s.portsOf(v) {
		out = append(out, interfaceDoc(p))
	}
	return rest.OK(rest.Doc{"interfaceAttachments": out})
}

// interfaceOf finds the port of the path.
func (s *Server) interfaceOf(r *rest.Request) (*server, rest.Doc, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, nil, err
	}
	for _, p := range s.portsOf(v) {
		if p["id"] == r.Param("port") {
			return v, p, nil
		}
	}
	return nil, nil, fail(http.StatusNotFound, "Instance %s does not have port %s", v.id, r.Param("port"))
}

func (s *Server) showInterface(r *rest.Request) (*rest.Reply, error) {
	_, p, err := s.interfaceOf(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"interfaceAttachment": interfaceDoc(p)})
}

func (s *Server) attachInterface(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "interfaceAttachment")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if err := allow(r, v, "attach_interface", []string{"active", "paused", "stopped"}); err != nil {
		return nil, err
	}
	a := &asked{max: 1}
	if err := s.askedGroups(r, &asked{in: rest.Doc{}}); err != nil {
		return nil, err
	}
	ref := rest.Doc{"uuid": in["net_id"], "port": in["port_id"]}
	if ips := rest.Docs(in, "fixed_ips"); len(ips) > 0 {
		ref["fixed_ip"] = ips[0]["ip_address"]
	}
	n, err := s.askedNIC(r, ref, a)
	if err != nil {
		var e *rest.Error
		if errors.As(err, &e) && e.Status == http.StatusBadRequest && rest.Str(in, "port_id") != "" {
			return nil, fail(http.StatusNotFound, "%s", e.Message)
		}
		return nil, err
	}
	a.nics = []nic{n}
	if err := s.plug(r, v, a); err != nil {
		return nil, err
	}
	last := v.ports[len(v.ports)-1]
	v.act(r, "attach_interface")
	return rest.OK(rest.Doc{"interfaceAttachment": interfaceDoc(s.Network.Port(rest.Caller{Roles: []string{"admin"}}, last))})
}

func (s *Server) detachInterface(r *rest.Request) (*rest.Reply, error) {
	v, p, err := s.interfaceOf(r)
	if err != nil {
		return nil, err
	}
	id := rest.Str(p, "id")
	if slices.Contains(v.ownPorts, id) {
		s.Network.DeletePort(id)
	} else {
		s.Network.Detach(id)
	}
	gone := func(o string) bool { return o == id }
	v.ports, v.ownPorts = slices.DeleteFunc(v.ports, gone), slices.DeleteFunc(v.ownPorts, gone)
	v.act(r, "detach_interface")
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) listServerGroups(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	seen := map[string]bool{}
	for _, p := range s.portsOf(v) {
		for _, id := range rest.Strings(p, "security_groups") {
			if !seen[id] {
				seen[id] = true
				out = append(out, rest.Doc{"id": id, "name": s.Network.GroupName(id), "description": "", "tenant_id": v.project, "rules": []any{}})
			}
		}
	}
	return rest.OK(rest.Doc{"security_groups": out})
}
