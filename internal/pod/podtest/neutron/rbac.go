package neutron

import (
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// rbacKind has the policies of networks that share them with a project, or with
// all; the latter are the network's flag.
func (s *Server) rbacKind() *resource {
	return &resource{
		server: s, path: "rbac-policies", single: "rbac_policy", plural: "rbac_policies", store: &s.grants,
		attrs: map[string]attribute{
			"id": {}, "project_id": {post: true, kind: "string"}, "tenant_id": {post: true, kind: "string"},
			"object_type": {post: true, kind: "string"}, "object_id": {post: true, kind: "uuid", required: true},
			"action": {post: true, kind: "string", required: true}, "target_tenant": {post: true, put: true, kind: "string", required: true},
		},
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) },
		missing: func(id string) error {
			return rest.Errorf(404, "RbacPolicyNotFound", "RBAC policy of type unknown with ID %s not found", id)
		},
		make: s.makeRBAC,
		drop: func(_ rest.Caller, d rest.Doc) error {
			used := func(p rest.Doc) bool {
				return p["network_id"] == d["object_id"] && p["project_id"] == d["target_tenant"]
			}
			if slices.ContainsFunc(s.ports.All(), used) {
				return conflict("RbacPolicyInUse", "RBAC policy on object %s cannot be removed because other objects depend on it.", d["object_id"])
			}
			return nil
		},
	}
}

func (s *Server) makeRBAC(_ rest.Caller, in rest.Doc) (rest.Doc, error) {
	d := rest.Doc{"id": uuid.NewString()}
	copyIn(d, in, "object_type", "object_id", "action", "target_tenant")
	same := func(p rest.Doc) bool {
		return p["object_id"] == d["object_id"] && p["action"] == d["action"] && p["target_tenant"] == d["target_tenant"]
	}
	if slices.ContainsFunc(s.grants.All(), same) {
		return nil, conflict("DuplicateRbacPolicy", "An RBAC policy already exists with those values.")
	}
	return d, nil
}

// sharedWith says that a policy shares the network with the project.
func (s *Server) sharedWith(project, network any) bool {
	return slices.ContainsFunc(s.grants.All(), func(p rest.Doc) bool {
		return p["object_id"] == network && p["action"] == "access_as_shared" && p["target_tenant"] == project
	})
}
