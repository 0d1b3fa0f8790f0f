// Package identity turns a Keystone token into the caller who sent it.
package identity

import (
	"slices"
	"time"

	"github.com/tricircle/tricircle/internal/policy"
)

// Caller is who asks. Every operation that serves a user takes it as an
// argument, so that no call can forget on whose behalf it runs.
type Caller struct {
	UserID, UserName, UserDomainID string
	// ProjectID is empty for an unscoped, domain- or system-scoped token.
	ProjectID, ProjectName, ProjectDomainID string
	Roles                                   []string
	Token                                   string // passed on to the pods
	ExpiresAt                               time.Time
	RequestID                               string // "req-<uuid>", ours; pods log it as the global request ID
	// Rules are the policy of the service that he asks, as it stood when he did.
	// Nil: the service has none.
	Rules *policy.Rules
}

// HasRole reports whether the token carries the role.
func (c Caller) HasRole(role string) bool { return slices.Contains(c.Roles, role) }

// IsAdmin is for the service's policy to say; without one it is the rule
// "role:admin" that OpenStack's default policies share.
func (c Caller) IsAdmin() bool {
	if c.Rules == nil {
		return c.HasRole("admin")
	}
	admin, err := c.Rules.Allows(c.creds(), policy.Admin, nil)
	return admin && err == nil
}

// May reports whether the policy lets him, to whom as an admin all is allowed, do
// the action to the target. An error is the target's.
func (c Caller) May(action string, about policy.Target) (bool, error) {
	if c.IsAdmin() {
		return true, nil
	}
	return c.Rules.Allows(c.creds(), action, about)
}

func (c Caller) creds() policy.Creds {
	return policy.Creds{
		UserID: c.UserID, UserName: c.UserName, UserDomainID: c.UserDomainID,
		ProjectID: c.ProjectID, ProjectName: c.ProjectName, ProjectDomainID: c.ProjectDomainID, Roles: c.Roles,
	}
}

// String names the caller without the token.
func (c Caller) String() string { return "user " + c.UserID + " in project " + c.ProjectID }

// GoString is String: a caller printed in any way shows no token.
func (c Caller) GoString() string { return c.String() }
