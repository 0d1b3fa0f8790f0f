package plan

import (
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/store"
)

// ServerGroup is a pod's server group, as far as we care.
type ServerGroup struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	ProjectID string `json:"project_id"`
}

// PodID is its ID in the pod.
func (g ServerGroup) PodID() string { return g.ID }

// NewServerGroup is the body that creates the group, and the lowest microversion
// that has words for it. A group has no description and nobody chooses its ID, so
// that its name is what carries our mark; users see the name that we keep.
func NewServerGroup(want store.ServerGroup) (body map[string]any, microversion string) {
	body = map[string]any{"name": Mark(store.KindServerGroup, want.ID)}
	if want.MaxPerHost > 0 {
		body["policy"] = want.Policy
		body["rules"] = map[string]any{"max_server_per_host": want.MaxPerHost}
		return body, "2.64"
	}
	body["policies"] = []string{want.Policy}
	return body, "2.15"
}

// MarkedServerGroup is the ID of our group that a pod's group of that name is;
// empty: it was made in the pod directly.
func MarkedServerGroup(name string) string {
	id, ours := strings.CutPrefix(name, Mark(store.KindServerGroup, ""))
	if !ours || uuid.Validate(id) != nil {
		return ""
	}
	return id
}
