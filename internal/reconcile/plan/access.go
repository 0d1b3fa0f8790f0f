package plan

import (
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// Access is a pod's RBAC policy that lets a project, or all, use a network.
type Access struct {
	ID     string `json:"id"`
	Target string `json:"target_tenant"`
}

// Accesses are the projects that are to get access, and what is to be taken away.
// What all may is the network's own flag.
func Accesses(want []string, found []Access) (give []string, gone []Access) {
	has := map[string]bool{}
	for _, a := range found {
		if a.Target == topology.Everyone {
			continue
		}
		has[a.Target] = true
		if !slices.Contains(want, a.Target) {
			gone = append(gone, a)
		}
	}
	for _, target := range want {
		if !has[target] {
			give = append(give, target)
		}
	}
	return give, gone
}

// NewAccess is the body that creates the policy.
func NewAccess(n topology.Network, podID, target string) map[string]any {
	return map[string]any{
		"object_type": "network", "object_id": podID, "action": topology.AccessAsShared, "target_tenant": target, "project_id": n.ProjectID,
	}
}
