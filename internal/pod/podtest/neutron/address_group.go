package neutron

import (
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) addressGroupKind() *resource {
	return &resource{
		server: s, path: "address-groups", single: "address_group", plural: "address_groups", store: &s.addressGroups,
		attrs: standard(map[string]attribute{
			"name":      {post: true, put: true, kind: "string"},
			"addresses": {post: true, kind: "list", null: true},
			"shared":    {},
		}),
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) },
		missing: addressGroupMissing,
		make: func(_ rest.Caller, in rest.Doc) (rest.Doc, error) {
			d := rest.Doc{"id": uuid.NewString(), "name": rest.Str(in, "name"), "shared": false, "addresses": []string{}}
			return d, addAddresses(d, rest.Strings(in, "addresses"))
		},
		change: func(_ rest.Caller, d, in rest.Doc) error { copyIn(d, in, "name", "description"); return nil },
		drop: func(_ rest.Caller, d rest.Doc) error {
			used := func(r rest.Doc) bool { return r["remote_address_group_id"] == d["id"] }
			if slices.ContainsFunc(s.rules.All(), used) {
				return conflict("AddressGroupInUse", "Address group %s is in use on one or more security group rules.", d["id"])
			}
			return nil
		},
	}
}

func addressGroupMissing(id string) error {
	return rest.Errorf(404, "AddressGroupNotFound", "Address group %s could not be found.", id)
}

// changeAddresses serves add_addresses and remove_addresses.
func (s *Server) changeAddresses(change func(d rest.Doc, addresses []string) error) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		kind := s.addressGroupKind()
		d, err := kind.find(r.Caller, r.Param("id"))
		if err != nil {
			return nil, err
		}
		body, err := r.JSON()
		if err != nil {
			return nil, badRequest("Body contains invalid data")
		}
		if err := change(d, rest.Strings(body, "addresses")); err != nil {
			return nil, err
		}
		s.touch(d)
		return rest.OK(rest.Doc{kind.single: kind.view(r.Caller, d)})
	}
}

func addAddresses(d rest.Doc, addresses []string) error {
	has := rest.Strings(d, "addresses")
	for _, a := range addresses {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return badRequest("Invalid input for addresses. Reason: '%s' is not a valid IP subnet.", a)
		}
		if slices.Contains(has, p.Masked().String()) {
			return rest.Errorf(400, "AddressesAlreadyExist", "Addresses ['%s'] already exist in the address group %s.", p.Masked(), d["id"])
		}
		has = append(has, p.Masked().String())
	}
	d["addresses"] = has
	return nil
}

func removeAddresses(d rest.Doc, addresses []string) error {
	has := rest.Strings(d, "addresses")
	for _, a := range addresses {
		i := slices.Index(has, a)
		if i < 0 {
			return rest.Errorf(404, "AddressesNotFound", "Addresses ['%s'] not found in the address group %s.", a, d["id"])
		}
		has = slices.Delete(slices.Clone(has), i, i+1)
	}
	d["addresses"] = has
	return nil
}
