package admin

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
)

// Region is what users see as one cloud.
type Region struct {
	Name      string       `json:"name"`
	PublicURL string       `json:"public_url"`
	Zones     []fleet.Zone `json:"zones"`
	Pods      int          `json:"pods"`
}

// Step is one thing that registering the region did, or found done.
type Step struct {
	Action string `json:"action"` // created, updated, kept, duplicate
	What   string `json:"what"`   // region, service, endpoint
	Name   string `json:"name"`   // the region's name, a service type, or "compute public"
	ID     string `json:"id"`
	URL    string `json:"url,omitempty"`
	Note   string `json:"note,omitempty"`
}

// Registration is the result of registering the region.
type Registration struct {
	Region string `json:"region"`
	Steps  []Step `json:"steps"`
}

// offered are the catalog entries of the region: service type, its name where we
// must create it, and the path under our public URL.
var offered = []struct{ kind, name, path string }{
	{"compute", "nova", "/compute/v2.1"},
	{"network", "neutron", "/network"},
	{"volumev3", "cinderv3", "/volume/v3/$(project_id)s"},
	{"image", "glance", "/image"},
	{"tricircle", "tricircle", "/admin"},
}

var interfaces = []string{"public", "internal", "admin"}

// Region describes the region.
func (a *Admin) Region(ctx context.Context) (Region, error) {
	zones, err := a.Fleet.Zones(ctx)
	if err != nil {
		return Region{}, err
	}
	r := Region{Name: a.Options.Region, PublicURL: a.PublicURL, Zones: zones}
	for _, z := range zones {
		r.Pods += len(z.Pods)
	}
	return r, nil
}

// Register writes the region, its services and endpoints into Keystone with the
// caller's own token. Doing it again changes nothing; a service of the same type
// that exists is used, since clients find services by type.
func (a *Admin) Register(ctx context.Context, by identity.Caller, publicURL string) (Registration, error) {
	base, err := baseURL(cmp.Or(publicURL, a.PublicURL))
	if err != nil {
		return Registration{}, err
	}
	if err := a.refuseOwnRegion(ctx); err != nil {
		return Registration{}, err
	}
	r := registrar{keystone: keystone{a.Account.AuthURL(), by.Token, a.HTTP}, region: a.Options.Region, base: base}
	if err := r.run(ctx); err != nil {
		return Registration{}, err
	}
	return Registration{Region: a.Options.Region, Steps: r.steps}, nil
}

// refuseOwnRegion stops an operator from pointing a pod's own endpoints at us,
// which would cut the pod off.
func (a *Admin) refuseOwnRegion(ctx context.Context) error {
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return err
	}
	for _, p := range pods {
		if p.Region == a.Options.Region && p.Cloud == "" {
			return fault.New(fault.Conflict, "", "region %s is that of pod %s: give Tricircle a region of its own", p.Region, p.Name)
		}
	}
	return nil
}

func baseURL(s string) (string, error) {
	if s == "" {
		return "", fault.New(fault.Invalid, "", "no public URL is known: give one, or set public_url in the server's configuration")
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		return "", fault.New(fault.Invalid, "", "public URL %q is not an http or https address", s)
	}
	return strings.TrimRight(s, "/"), nil
}

type registrar struct {
	keystone
	region, base string
	steps        []Step
}

func (r *registrar) run(ctx context.Context) error {
	if err := r.ensureRegion(ctx); err != nil {
		return err
	}
	services, err := r.services(ctx)
	if err != nil {
		return err
	}
	endpoints, err := r.endpoints(ctx, r.region)
	if err != nil {
		return err
	}
	for _, o := range offered {
		same := slices.DeleteFunc(slices.Clone(services), func(s service) bool { return s.Type != o.kind })
		chosen, err := r.ensureService(ctx, service{Type: o.kind, Name: o.name}, same, endpoints)
		if err != nil {
			return err
		}
		same = append(same, chosen)
		for _, iface := range interfaces {
			want := endpoint{ServiceID: chosen.ID, RegionID: r.region, Interface: iface, URL: r.base + o.path}
			if err := r.ensureEndpoint(ctx, o.kind, want, ofServices(endpoints, same, iface)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *registrar) ensureRegion(ctx context.Context) error {
	regions, err := r.regions(ctx)
	if err != nil {
		return err
	}
	step := Step{Action: "kept", What: "region", Name: r.region, ID: r.region}
	if !slices.ContainsFunc(regions, func(x region) bool { return x.ID == r.region }) {
		step.Action = "created"
		if err := r.createRegion(ctx, region{ID: r.region, Description: "Tricircle"}); err != nil {
			return err
		}
	}
	r.steps = append(r.steps, step)
	return nil
}

// ensureService prefers the service that has endpoints in our region already,
// then the smallest ID, so that two runs agree.
func (r *registrar) ensureService(ctx context.Context, want service, same []service, endpoints []endpoint) (service, error) {
	if len(same) == 0 {
		made, err := r.createService(ctx, want)
		if err != nil {
			return service{}, err
		}
		r.steps = append(r.steps, Step{Action: "created", What: "service", Name: want.Type, ID: made.ID})
		return made, nil
	}
	chosen := slices.MinFunc(same, func(a, b service) int {
		return cmp.Or(cmp.Compare(unused(a, endpoints), unused(b, endpoints)), cmp.Compare(a.ID, b.ID))
	})
	r.steps = append(r.steps, Step{Action: "kept", What: "service", Name: want.Type, ID: chosen.ID})
	return chosen, nil
}

func unused(s service, endpoints []endpoint) int {
	if slices.ContainsFunc(endpoints, func(e endpoint) bool { return e.ServiceID == s.ID }) {
		return 0
	}
	return 1
}

// ofServices are the endpoints of these services with the interface, by ID.
func ofServices(endpoints []endpoint, services []service, iface string) []endpoint {
	var out []endpoint
	for _, e := range endpoints {
		if e.Interface == iface && slices.ContainsFunc(services, func(s service) bool { return s.ID == e.ServiceID }) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b endpoint) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// wrongness orders endpoints by how much is to be changed.
func wrongness(e, want endpoint) int {
	wrong := 0
	if e.ServiceID != want.ServiceID {
		wrong += 2
	}
	if e.URL != want.URL {
		wrong++
	}
	return wrong
}

// ensureEndpoint makes one endpoint right. Further ones are only reported: which
// of them a client takes is chance, but they may not be ours to delete.
func (r *registrar) ensureEndpoint(ctx context.Context, kind string, want endpoint, found []endpoint) error {
	step := Step{What: "endpoint", Name: kind + " " + want.Interface, URL: want.URL}
	if len(found) == 0 {
		made, err := r.createEndpoint(ctx, want)
		if err != nil {
			return err
		}
		step.Action, step.ID = "created", made.ID
		r.steps = append(r.steps, step)
		return nil
	}
	kept := slices.MinFunc(found, func(a, b endpoint) int {
		return cmp.Or(wrongness(a, want)-wrongness(b, want), cmp.Compare(a.ID, b.ID))
	})
	step.Action, step.ID = "kept", kept.ID
	if kept.URL != want.URL || kept.Enabled != nil && !*kept.Enabled {
		if err := r.updateEndpoint(ctx, kept.ID, want.URL); err != nil {
			return err
		}
		step.Action, step.Note = "updated", "it was "+kept.URL
	}
	r.steps = append(r.steps, step)
	for _, e := range found {
		if e.ID != kept.ID {
			r.steps = append(r.steps, Step{Action: "duplicate", What: "endpoint", Name: step.Name, ID: e.ID, URL: e.URL,
				Note: "clients may choose this one: remove it with openstack endpoint delete " + e.ID})
		}
	}
	return nil
}
