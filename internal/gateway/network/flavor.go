package network

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/topology"
)

var flavorAttributes = []attribute{
	{name: "id", filter: asIs, sort: true},
	{name: "project_id", read: readText(255), post: true},
	{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	{name: "description", read: readTextOrNull, fallback: "", post: true, put: true, filter: asIs, sort: true},
	{name: "service_type", read: readServiceType, required: true, post: true, filter: asIs, sort: true},
	// Which profiles a flavor has is said below it; here Neutron takes them in vain.
	{name: "service_profiles", read: readUUIDs, post: true, put: true},
	{name: "enabled", read: orUnset(readFlag), fallback: true, post: true, put: true, filter: filterFlag, sort: true},
}

var profileAttributes = []attribute{
	{name: "id", filter: asIs, sort: true},
	{name: "project_id", read: readText(255), post: true},
	{name: "description", read: readTextOrNull, fallback: "", post: true, put: true, filter: asIs, sort: true},
	{name: "driver", read: readText(1024), fallback: "", post: true, put: true, filter: asIs, sort: true},
	{name: "metainfo", read: readText(4096), fallback: "", post: true, put: true, sort: true},
	{name: "enabled", read: orUnset(readFlag), fallback: true, post: true, put: true, filter: filterFlag, sort: true},
}

func readServiceType(_ string, v any) (any, error) {
	name := python(v)
	return name, topology.CheckServiceType(name)
}

func (a *api) flavors() *resource[topology.Flavor] {
	all := a.Store.NetworkFlavors()
	setFlavor := func(f *topology.Flavor, v values) {
		set(v, "name", &f.Name)
		set(v, "description", &f.Description)
		set(v, "enabled", &f.Enabled)
	}
	return &resource[topology.Flavor]{
		one: "flavor", many: "flavors", attributes: flavorAttributes, missing: topology.NoFlavor, list: all.List, find: all.Find, view: viewFlavors,
		create: func(ctx context.Context, _ identity.Caller, items []values) ([]topology.Flavor, error) {
			made := make([]topology.Flavor, len(items))
			for i, v := range items {
				set(v, "project_id", &made[i].ProjectID)
				set(v, "service_type", &made[i].ServiceType)
				setFlavor(&made[i], v)
			}
			return all.Create(ctx, made)
		},
		update: func(ctx context.Context, _ identity.Caller, old *topology.Flavor, v values, _ revision) (topology.Flavor, error) {
			return all.Update(ctx, old.ID, func(f *topology.Flavor) error {
				setFlavor(f, v)
				return nil
			})
		},
		remove: func(ctx context.Context, _ identity.Caller, old *topology.Flavor, _ revision) error {
			return all.Delete(ctx, old.ID, nil)
		},
	}
}

func viewFlavors(_ context.Context, _ identity.Caller, all []topology.Flavor) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, f := range all {
		shown[i] = map[string]any{"id": f.ID, "name": f.Name, "description": f.Description, "service_type": f.ServiceType,
			"enabled": f.Enabled, "service_profiles": f.Profiles}
	}
	return shown, nil
}

func (a *api) serviceProfiles() *resource[topology.ServiceProfile] {
	all := a.Store.ServiceProfiles()
	setProfile := func(p *topology.ServiceProfile, v values) {
		set(v, "description", &p.Description)
		set(v, "driver", &p.Driver)
		set(v, "metainfo", &p.Metainfo)
		set(v, "enabled", &p.Enabled)
	}
	return &resource[topology.ServiceProfile]{
		one: "service_profile", many: "service_profiles", attributes: profileAttributes, missing: topology.NoServiceProfile,
		list: all.List, find: all.Find, view: viewProfiles,
		create: func(ctx context.Context, _ identity.Caller, items []values) ([]topology.ServiceProfile, error) {
			made := make([]topology.ServiceProfile, len(items))
			for i, v := range items {
				set(v, "project_id", &made[i].ProjectID)
				setProfile(&made[i], v)
			}
			return all.Create(ctx, made)
		},
		update: func(ctx context.Context, _ identity.Caller, old *topology.ServiceProfile, v values, _ revision) (topology.ServiceProfile, error) {
			return all.Update(ctx, old.ID, func(p *topology.ServiceProfile) error {
				setProfile(p, v)
				if _, sent := v["driver"]; sent && p.Driver != "" {
					return p.Check()
				}
				return nil
			})
		},
		remove: func(ctx context.Context, _ identity.Caller, old *topology.ServiceProfile, _ revision) error {
			return all.Delete(ctx, old.ID, nil)
		},
	}
}

func viewProfiles(_ context.Context, _ identity.Caller, all []topology.ServiceProfile) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, p := range all {
		shown[i] = map[string]any{"id": p.ID, "description": p.Description, "driver": p.Driver, "enabled": p.Enabled, "metainfo": p.Metainfo}
	}
	return shown, nil
}

// flavorRoutes are flavors, profiles, and which flavor has which.
func (a *api) flavorRoutes() []gateway.Route {
	routes := append(a.flavors().routes(), a.serviceProfiles().routes()...)
	const note = "an internal error of Neutron"
	for _, profiles := range []string{"/flavors/{id}/service_profiles", "/flavors/{id}/service-profiles"} {
		one := profiles + "/{profile}"
		line := func(method, pattern, policy string, h gateway.Handler) gateway.Route {
			return gateway.Route{Method: method, Pattern: pattern, Strategy: gateway.Central, Policy: policy, Handle: h}
		}
		routes = append(routes,
			line(http.MethodPost, profiles, "create_flavor_service_profile", a.addProfile),
			line(http.MethodGet, one, "get_flavor_service_profile", a.showFlavorProfile),
			line(http.MethodDelete, one, "delete_flavor_service_profile", a.removeProfile))
		routes = append(routes, refused(note+": the flavor shows them", "GET "+profiles, "PUT "+one)...)
	}
	const next = "/flavors/{id}/next_providers"
	return append(routes, refused(note, "GET "+next, "POST "+next, "GET "+next+"/{provider}", "PUT "+next+"/{provider}", "DELETE "+next+"/{provider}")...)
}

// addProfile answers with the flavor's ID under the profile's name, as Neutron does.
func (a *api) addProfile(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := decode(r, "service_profile", "service_profiles", false)
	if err != nil {
		return nil, err
	}
	profile, given := f.items[0]["id"]
	if !given {
		return nil, badRequest("Failed to parse request. Required attribute 'id' not specified")
	}
	if _, err := readUUID("id", profile); err != nil {
		return nil, err
	}
	flavor, _, err := a.flavors().toChange(ctx, by, r)
	if err != nil {
		return nil, err
	}
	if err := a.Store.NetworkFlavors().AddProfile(ctx, flavor.ID, profile.(string)); err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusCreated, map[string]any{"service_profile": map[string]any{"id": flavor.ID}}), nil
}

// showFlavorProfile says no more than that the flavor has the profile.
func (a *api) showFlavorProfile(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	flavor, err := a.flavors().get(ctx, by, r.Param("id"))
	if err == nil {
		for _, id := range flavor.Profiles {
			if id == r.Param("profile") {
				return gateway.JSON(http.StatusOK, map[string]any{"service_profile": map[string]any{}}), nil
			}
		}
	}
	if err == nil || fault.Is(err, fault.NotFound) {
		err = topology.NotOfFlavor(r.Param("id"), r.Param("profile"))
	}
	return nil, err
}

func (a *api) removeProfile(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	flavor, _, err := a.flavors().toChange(ctx, by, r)
	if err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), a.Store.NetworkFlavors().RemoveProfile(ctx, flavor.ID, r.Param("profile"))
}

// providerOf is what serves the flavor: the first of its profiles says.
func (a *api) providerOf(ctx context.Context, id string) (topology.Provider, error) {
	flavor, err := a.Store.NetworkFlavors().Find(ctx, id)
	if err != nil {
		return topology.Provider{}, err
	}
	if len(flavor.Profiles) == 0 {
		return topology.Provider{}, topology.NotOfFlavor(id, "")
	}
	profile, err := a.Store.ServiceProfiles().Find(ctx, flavor.Profiles[0])
	if err != nil {
		return topology.Provider{}, err
	}
	if !profile.Enabled {
		return topology.Provider{}, topology.ServiceProfileDisabled()
	}
	return topology.ProviderOf(profile.Driver)
}

// checkFlavor refuses a kind of router that the flavor does not serve.
func (a *api) checkFlavor(ctx context.Context, id string, v values) error {
	p, err := a.providerOf(ctx, id)
	if err != nil {
		return err
	}
	flagOf := func(name string) *bool {
		if on, sent := v[name].(bool); sent {
			return &on
		}
		return nil
	}
	return p.Suits(flagOf("distributed"), flagOf("ha"))
}
