package reconcile

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

// The pod's flavors and key pairs, by its service account.

// The oldest microversions that show all that must be alike: a flavor's extra
// specs (Rocky), the key pairs of any user and pages of them (Newton).
var (
	flavorVersion  = http.Header{"Openstack-Api-Version": {"compute 2.61"}, "X-Openstack-Nova-Api-Version": {"2.61"}}
	keypairVersion = http.Header{"Openstack-Api-Version": {"compute 2.35"}, "X-Openstack-Nova-Api-Version": {"2.35"}}
)

// plainName are the names that a key pair may have in all versions; since 2.92 it
// may have others.
var plainName = regexp.MustCompile(`^[A-Za-z0-9 _-]+$`)

// importVersion is the oldest in which a key pair can have the name.
func importVersion(name string) http.Header {
	if plainName.MatchString(name) {
		return keypairVersion
	}
	return http.Header{"Openstack-Api-Version": {"compute 2.92"}, "X-Openstack-Nova-Api-Version": {"2.92"}}
}

// nova asks the pod and returns the answer's one member.
func nova(ctx context.Context, c *pod.Client, r pod.Request, member string, body any) (gjson.Result, error) {
	r.Service = pod.Compute
	var out json.RawMessage
	if err := c.JSON(ctx, r, body, &out); err != nil {
		return gjson.Result{}, err
	}
	found := gjson.GetBytes(out, member)
	if !found.Exists() {
		return found, unintelligible(c, r, member)
	}
	return found, nil
}

// novaGone deletes; what is gone already is as well.
func novaGone(ctx context.Context, c *pod.Client, r pod.Request) error {
	r.Service, r.Method = pod.Compute, http.MethodDelete
	resp, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	if err := pod.Upstream(c.Name(), r.Op, resp); !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

func flavorPath(id string) string { return "/flavors/" + url.PathEscape(id) }

// findFlavor misses with nil.
func findFlavor(ctx context.Context, c *pod.Client, id string) (*plan.Flavor, error) {
	doc, err := nova(ctx, c, pod.Request{Method: http.MethodGet, Path: flavorPath(id), Header: flavorVersion, Op: "show flavor"}, "flavor", nil)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := plan.ReadFlavor(doc)
	return &f, withAccess(ctx, c, &f)
}

// withAccess reads who sees a flavor that is not public.
func withAccess(ctx context.Context, c *pod.Client, f *plan.Flavor) error {
	if f.Public {
		return nil
	}
	list, err := nova(ctx, c, pod.Request{Method: http.MethodGet, Path: flavorPath(f.ID) + "/os-flavor-access", Header: flavorVersion,
		Op: "list flavor access"}, "flavor_access", nil)
	if err != nil {
		return err
	}
	for _, item := range list.Array() {
		f.Projects = append(f.Projects, item.Get("tenant_id").Str)
	}
	slices.Sort(f.Projects)
	return nil
}

func listFlavors(ctx context.Context, c *pod.Client) ([]plan.Flavor, error) {
	docs, err := pages(ctx, c, pod.Request{Service: pod.Compute, Path: "/flavors/detail", Query: url.Values{"is_public": {"None"}}, Header: flavorVersion,
		Op: "list flavors"}, paged{member: "flavors", links: "flavors_links", marker: "id"})
	if err != nil {
		return nil, err
	}
	all := make([]plan.Flavor, 0, len(docs))
	for _, doc := range docs {
		f := plan.ReadFlavor(doc)
		if err := withAccess(ctx, c, &f); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// changeFlavor does what comes after a flavor was made.
func changeFlavor(ctx context.Context, c *pod.Client, id string, ch plan.FlavorChanges) error {
	ask := func(method, path, op string, body any) error {
		return c.JSON(ctx, pod.Request{Service: pod.Compute, Method: method, Path: flavorPath(id) + path, Header: flavorVersion, Op: op}, body, nil)
	}
	if ch.Describe {
		if err := ask(http.MethodPut, "", "update flavor", map[string]any{"flavor": map[string]any{"description": ch.Description}}); err != nil {
			return err
		}
	}
	if len(ch.SetSpecs) > 0 {
		if err := ask(http.MethodPost, "/os-extra_specs", "set extra specs", map[string]any{"extra_specs": ch.SetSpecs}); err != nil {
			return err
		}
	}
	for _, key := range ch.DropSpecs {
		err := ask(http.MethodDelete, "/os-extra_specs/"+url.PathEscape(key), "unset extra spec", nil)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	for _, project := range ch.Admit {
		err := ask(http.MethodPost, "/action", "add flavor access", map[string]any{"addTenantAccess": map[string]any{"tenant": project}})
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	for _, project := range ch.Expel {
		err := ask(http.MethodPost, "/action", "remove flavor access", map[string]any{"removeTenantAccess": map[string]any{"tenant": project}})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

func keypairRequest(method, user, name, op string) pod.Request {
	return pod.Request{Method: method, Path: "/os-keypairs/" + url.PathEscape(name), Query: url.Values{"user_id": {user}},
		Header: keypairVersion, Op: op}
}

// findKeypair misses with nil.
func findKeypair(ctx context.Context, c *pod.Client, id string) (*plan.Keypair, error) {
	user, name := plan.SplitKeypairID(id)
	doc, err := nova(ctx, c, keypairRequest(http.MethodGet, user, name, "show key pair"), "keypair", nil)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := plan.ReadKeypair(doc, user)
	return &k, nil
}

func listKeypairs(ctx context.Context, c *pod.Client, user string) ([]plan.Keypair, error) {
	docs, err := pages(ctx, c, pod.Request{Service: pod.Compute, Path: "/os-keypairs", Query: url.Values{"user_id": {user}}, Header: keypairVersion,
		Op: "list key pairs"}, paged{member: "keypairs", links: "keypairs_links", marker: "keypair.name"})
	if err != nil {
		return nil, err
	}
	all := make([]plan.Keypair, 0, len(docs))
	for _, doc := range docs {
		all = append(all, plan.ReadKeypair(doc.Get("keypair"), user))
	}
	return all, nil
}
