package topology

import (
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// RBACPolicy lets a project, or all, use a thing that belongs to another.
type RBACPolicy struct {
	ID, ProjectID, ObjectType, ObjectID, Action, Target string
}

// What a policy allows.
const (
	AccessAsShared   = "access_as_shared"
	AccessAsExternal = "access_as_external" // networks: to go out through it
)

// Everyone is the target that is all projects.
const Everyone = "*"

// CheckAction refuses what cannot be allowed for the type.
func (p *RBACPolicy) CheckAction() error {
	valid := []string{AccessAsShared}
	if p.ObjectType == "network" {
		valid = append(valid, AccessAsExternal)
	}
	for _, action := range valid {
		if p.Action == action {
			return nil
		}
	}
	words := "('" + strings.Join(valid, "', '") + "')"
	if len(valid) == 1 {
		words = "('" + valid[0] + "',)" // Python's tuple of one
	}
	return fault.New(fault.Invalid, "InvalidActionForType", "Invalid action '%s' for object type '%s'. Valid actions: %s",
		p.Action, p.ObjectType, words)
}

// NoRBACPolicy is the error for an ID that is not there.
func NoRBACPolicy(id string) error {
	return fault.New(fault.NotFound, "RbacPolicyNotFound", "RBAC policy of type unknown with ID %s not found", id)
}

// RBACPolicyInUse refuses to take away what somebody needs.
func RBACPolicyInUse(object, details string) error {
	return fault.New(fault.Conflict, "RbacPolicyInUse",
		"RBAC policy on object %s cannot be removed because other objects depend on it.\nDetails: %s", object, details)
}
