package reconcile

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

func typePath(id string) string { return "/types/" + url.PathEscape(id) }

var volumeTypeKind = withZones(namedKind(namedCalls[plan.VolumeType]{
	path: "/types", member: "volume_type", words: "volume type",
	find: findVolumeType, bare: plan.VolumeType.Bare, in: plan.VolumeTypeIn, change: changeVolumeType,
	names: func(ctx context.Context, c *pod.Client) ([]plan.Replica, error) {
		return namesIn(pages(ctx, c, pod.Request{Service: pod.Volume, Path: "/types", Query: everything(), Op: "list volume types"},
			paged{member: "volume_types", links: "volume_type_links", marker: "id"}))
	},
}))

func withZones(k replicaKind) replicaKind {
	k.zoned = func(content json.RawMessage, name func(string) string) (json.RawMessage, error) {
		t, err := decode[plan.VolumeType](content)
		if err != nil {
			return nil, err
		}
		return t.InZones(name).Content(), nil
	}
	return k
}

func findVolumeType(ctx context.Context, c *pod.Client, id string) (json.RawMessage, error) {
	doc, err := cinderOne(ctx, c, reading(typePath(id), "show volume type", nil), "volume_type", nil)
	if err != nil {
		return nil, missing(err)
	}
	t := plan.ReadVolumeType(doc)
	if !t.Public {
		access, err := cinderOne(ctx, c, reading(typePath(id)+"/os-volume-type-access", "list volume type access", nil), "volume_type_access", nil)
		if err != nil {
			return nil, missing(err)
		}
		for _, item := range access.Array() {
			t.Projects = append(t.Projects, item.Get("project_id").Str)
		}
		slices.Sort(t.Projects)
	}
	encryption, err := cinderOne(ctx, c, reading(typePath(id)+"/encryption", "show encryption", nil), "", nil)
	if err != nil {
		return nil, missing(err)
	}
	t.Encryption = plan.ReadEncryption(encryption)
	return t.Content(), nil
}

// changeVolumeType does what comes after a type was made.
func changeVolumeType(ctx context.Context, c *pod.Client, id string, ch plan.TypeChanges) error {
	ask := func(method, path, op string, body any, fine ...fault.Kind) error {
		return cinderDo(ctx, c, pod.Request{Method: method, Path: path, Op: op}, body, fine...)
	}
	at := typePath(id)
	if ch.Update != nil {
		if err := ask(http.MethodPut, at, "update volume type", map[string]any{"volume_type": ch.Update}); err != nil {
			return err
		}
	}
	if len(ch.SetSpecs) > 0 {
		if err := ask(http.MethodPost, at+"/extra_specs", "set extra specs", map[string]any{"extra_specs": ch.SetSpecs}); err != nil {
			return err
		}
	}
	for _, key := range ch.DropSpecs {
		if err := ask(http.MethodDelete, at+"/extra_specs/"+url.PathEscape(key), "unset extra spec", nil, fault.NotFound); err != nil {
			return err
		}
	}
	for _, project := range ch.Admit {
		body := map[string]any{"addProjectAccess": map[string]string{"project": project}}
		if err := ask(http.MethodPost, at+"/action", "add volume type access", body, fault.Conflict); err != nil {
			return err
		}
	}
	for _, project := range ch.Expel {
		body := map[string]any{"removeProjectAccess": map[string]string{"project": project}}
		if err := ask(http.MethodPost, at+"/action", "remove volume type access", body, fault.NotFound); err != nil {
			return err
		}
	}
	if err := changeQoS(ctx, c, id, ch); err != nil {
		return err
	}
	switch {
	case ch.Unencrypt:
		return ask(http.MethodDelete, at+"/encryption/provider", "delete encryption", nil, fault.NotFound)
	case ch.Reencrypt:
		return ask(http.MethodPut, at+"/encryption/provider", "update encryption", map[string]any{"encryption": ch.Encrypt})
	case ch.Encrypt != nil:
		return ask(http.MethodPost, at+"/encryption", "create encryption", map[string]any{"encryption": ch.Encrypt})
	}
	return nil
}

// changeQoS gives the type other QoS specs. It has one at most: the old ones go first.
func changeQoS(ctx context.Context, c *pod.Client, id string, ch plan.TypeChanges) error {
	ask := func(specs, action string, fine ...fault.Kind) error {
		return cinderDo(ctx, c, pod.Request{Method: http.MethodGet, Path: "/qos-specs/" + url.PathEscape(specs) + "/" + action,
			Query: url.Values{"vol_type_id": {id}}, Op: action + " QoS specs"}, nil, fine...)
	}
	if ch.Leave != "" {
		if err := ask(ch.Leave, "disassociate", fault.NotFound); err != nil {
			return err
		}
	}
	if ch.Join != "" {
		return ask(ch.Join, "associate")
	}
	return nil
}
