package topology

import "github.com/tricircle/tricircle/internal/fault"

// AddressScope is a space of addresses in which no two subnet pools overlap, so
// that routers may route between its networks without translation.
type AddressScope struct {
	Standard
	Name      string `db:"name"`
	Shared    bool   `db:"shared"`
	IPVersion int    `db:"ip_version"`
}

// CheckUpdate refuses to take a scope away from those it was shared with.
func (s *AddressScope) CheckUpdate(was *AddressScope) error {
	if was.Shared && !s.Shared {
		return fault.New(fault.Invalid, "AddressScopeUpdateError",
			"Unable to update address scope %s : Shared address scope can't be unshared.", s.ID)
	}
	return nil
}

// ScopeInUse is the refusal to delete a scope that pools are in.
func ScopeInUse(id string) error {
	return fault.New(fault.Conflict, "AddressScopeInUse", "Unable to complete operation on address scope %s. "+
		"There are one or more subnet pools in use on the address scope.", id)
}

// NoAddressScope is the answer about a scope that is not there for the caller.
func NoAddressScope(id string) error {
	return fault.New(fault.NotFound, "AddressScopeNotFound", "Address scope %s could not be found.", id)
}
