// Package identity turns a Keystone token into the caller who sent it.
package identity

import (
	"slices"
	"time"
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
}

// HasRole reports whether the token carries the role.
func (c Caller) HasRole(role string) bool { return slices.Contains(c.Roles, role) }

// IsAdmin is the rule "role:admin" that OpenStack's default policies share.
func (c Caller) IsAdmin() bool { return c.HasRole("admin") }

// String names the caller without the token.
func (c Caller) String() string { return "user " + c.UserID + " in project " + c.ProjectID }

// GoString is String: a caller printed in any way shows no token.
func (c Caller) GoString() string { return c.String() }
