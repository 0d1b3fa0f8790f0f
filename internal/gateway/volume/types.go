package volume

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// typeRoutes are what is the same in every pod.
func (a *api) typeRoutes() []gateway.Route {
	return slices.Concat(a.volumeTypeRoutes(), a.qosRoutes(), a.groupTypeRoutes(), a.defaultTypeRoutes())
}

func (a *api) volumeTypeRoutes() []gateway.Route {
	const (
		specs      = "volume_extension:types_extra_specs:"
		encryption = "volume_extension:volume_type_encryption:"
	)
	any := a.anyReplica(store.KindVolumeType)
	return replicatedRoutes(
		gateway.Route{Method: get, Pattern: "/types", Strategy: gateway.Merged, Policy: "volume_extension:type_get_all", Handle: a.listReplicas(volumeTypeList)},
		gateway.Route{Method: post, Pattern: "/types", Policy: "volume_extension:type_create", Admin: true,
			Handle: a.creator(store.KindVolumeType, "volume_type", func(doc gjson.Result) json.RawMessage { return plan.ReadVolumeType(doc).Content() })},
		gateway.Route{Method: get, Pattern: "/types/{id}", Handle: any},
		gateway.Route{Method: put, Pattern: "/types/{id}", Policy: "volume_extension:type_update", Admin: true, Handle: renamer(a, store.KindVolumeType, "volume_type.name", nextType)},
		gateway.Route{Method: remove, Pattern: "/types/{id}", Policy: "volume_extension:type_delete", Admin: true,
			Handle: a.unused("Target volume type is still in use.", a.remover(store.KindVolumeType))},
		gateway.Route{Method: post, Pattern: "/types/{id}/action", Handle: a.actOnType, Actions: a.typeActions()},
		gateway.Route{Method: get, Pattern: "/types/{id}/os-volume-type-access", Handle: any},
		gateway.Route{Method: get, Pattern: "/types/{id}/extra_specs", Handle: any},
		gateway.Route{Method: post, Pattern: "/types/{id}/extra_specs", Policy: specs + "create", Admin: true,
			Handle: a.unused(typeInUse, changer(a, store.KindVolumeType, nextSpecs("extra_specs")))},
		gateway.Route{Method: get, Pattern: "/types/{id}/extra_specs/{key}", Handle: any},
		gateway.Route{Method: put, Pattern: "/types/{id}/extra_specs/{key}", Policy: specs + "update", Admin: true,
			Handle: a.unused(typeInUse, changer(a, store.KindVolumeType, nextSpecs("")))},
		gateway.Route{Method: remove, Pattern: "/types/{id}/extra_specs/{key}", Policy: specs + "delete", Admin: true,
			Handle: a.unused(typeInUse, changer(a, store.KindVolumeType, nextWithoutSpec))},
		gateway.Route{Method: get, Pattern: "/types/{id}/encryption", Handle: any},
		gateway.Route{Method: post, Pattern: "/types/{id}/encryption", Policy: encryption + "create", Admin: true,
			Handle: a.unused("Cannot create encryption specs. Volume type in use.", changer(a, store.KindVolumeType, nextEncryption))},
		gateway.Route{Method: get, Pattern: "/types/{id}/encryption/{key}", Handle: any},
		gateway.Route{Method: put, Pattern: "/types/{id}/encryption/{key}", Policy: encryption + "update", Admin: true,
			Handle: a.unused("Cannot update encryption specs. Volume type in use.", changer(a, store.KindVolumeType, nextEncryptionUpdate))},
		gateway.Route{Method: remove, Pattern: "/types/{id}/encryption/{key}", Policy: encryption + "delete", Admin: true,
			Handle: a.unused("Cannot delete encryption specs. Volume type in use.", changer(a, store.KindVolumeType, nextUnencrypted))},
	)
}

const typeInUse = "Volume Type is currently in use."

// replicatedRoutes are routes whose strategy is that, unless they say another.
func replicatedRoutes(routes ...gateway.Route) []gateway.Route {
	for i := range routes {
		if routes[i].Strategy == "" {
			routes[i].Strategy = gateway.Replicated
		}
	}
	return routes
}

func (a *api) typeActions() []gateway.Action {
	change := func(next func(*plan.VolumeType, *gateway.Request, gjson.Result) bool) gateway.Handler {
		return changer(a, store.KindVolumeType, next)
	}
	return []gateway.Action{
		{Name: "addProjectAccess", Strategy: gateway.Replicated, Handle: change(nextAccess)},
		{Name: "removeProjectAccess", Strategy: gateway.Replicated, Handle: change(nextAccess)},
		{Name: "delete", Strategy: gateway.Replicated, Handle: a.unused("Target volume type is still in use.", a.remover(store.KindVolumeType))},
		{Name: "volume_type", Strategy: gateway.Refused, Handle: refuse(noSuchAction), Note: noSuchAction},
	}
}

// typeActionPolicy has Cinder's rule for each action, which names it when it refuses.
var typeActionPolicy = map[string]string{
	"addProjectAccess":    "volume_extension:volume_type_access:addProjectAccess",
	"removeProjectAccess": "volume_extension:volume_type_access:removeProjectAccess",
	"delete":              "volume_extension:type_delete",
}

const noSuchAction = "Cinder knows the word from other requests only"

// actOnType is "POST /types/{id}/action".
func (a *api) actOnType(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	for _, action := range a.typeActions() {
		if action.Strategy != gateway.Refused && gjson.GetBytes(body, action.Name).Exists() {
			if !by.IsAdmin() {
				return nil, fault.New(fault.Forbidden, "", "Policy doesn't allow %s to be performed.", typeActionPolicy[action.Name])
			}
			return action.Handle(ctx, by, r)
		}
	}
	name := ""
	gjson.ParseBytes(body).ForEach(func(key, _ gjson.Result) bool {
		name = key.Str
		return false
	})
	return nil, fault.New(fault.Invalid, "", "There is no such action: %s. Verify the request body and Content-Type header and try again.", name)
}

func nextType(t *plan.VolumeType, _ *gateway.Request, body gjson.Result) bool {
	return nextHead(body.Get("volume_type"), &t.Name, &t.Description, &t.Public)
}

// nextHead reads an update. Null changes nothing.
func nextHead(in gjson.Result, name *string, description **string, public *bool) bool {
	changed := false
	if v := in.Get("name"); v.Type == gjson.String {
		*name, changed = strings.TrimSpace(v.Str), true
	}
	if v := in.Get("description"); v.Type == gjson.String {
		text := v.Str
		*description, changed = &text, true
	}
	if v := in.Get("is_public"); v.Exists() && v.Type != gjson.Null {
		is, ok := truth(v)
		if !ok {
			return false
		}
		*public, changed = is, true
	}
	return changed
}

// truth reads a boolean as Cinder does, which takes texts for it, too.
func truth(v gjson.Result) (is, ok bool) {
	switch strings.ToLower(v.String()) {
	case "true", "t", "yes", "y", "on", "1":
		return true, true
	case "false", "f", "no", "n", "off", "0":
		return false, true
	}
	return false, false
}

func nextAccess(t *plan.VolumeType, _ *gateway.Request, body gjson.Result) bool {
	add, leave := body.Get("addProjectAccess.project").Str, body.Get("removeProjectAccess.project").Str
	has := slices.Contains(t.Projects, add+leave)
	if t.Public || (add == "") == (leave == "") || has != (leave != "") {
		return false
	}
	t.Projects = slices.DeleteFunc(t.Projects, func(p string) bool { return p == leave })
	if add != "" {
		t.Projects = append(t.Projects, add)
		slices.Sort(t.Projects)
	}
	return true
}

// nextSpecs reads the extra specs under the member, or the whole body, which must
// have the key of the path.
func nextSpecs(member string) func(*plan.VolumeType, *gateway.Request, gjson.Result) bool {
	return func(t *plan.VolumeType, r *gateway.Request, body gjson.Result) bool {
		return putSpecs(t.ExtraSpecs, member, r, body)
	}
}

func putSpecs(into map[string]string, member string, r *gateway.Request, body gjson.Result) bool {
	specs, found := body, member != ""
	if member != "" {
		specs = body.Get(member)
	}
	specs.ForEach(func(key, value gjson.Result) bool {
		into[key.Str] = value.String()
		found = found || key.Str == r.Param("key")
		return true
	})
	return specs.IsObject() && found
}

func nextWithoutSpec(t *plan.VolumeType, r *gateway.Request, _ gjson.Result) bool {
	_, ok := t.ExtraSpecs[r.Param("key")]
	delete(t.ExtraSpecs, r.Param("key"))
	return ok
}

func nextEncryption(t *plan.VolumeType, _ *gateway.Request, body gjson.Result) bool {
	if t.Encryption != nil {
		return false
	}
	t.Encryption = &plan.Encryption{}
	return encrypted(t.Encryption, body.Get("encryption")) && t.Encryption.Provider != "" && t.Encryption.ControlLocation != ""
}

func nextEncryptionUpdate(t *plan.VolumeType, _ *gateway.Request, body gjson.Result) bool {
	return t.Encryption != nil && encrypted(t.Encryption, body.Get("encryption"))
}

func encrypted(e *plan.Encryption, in gjson.Result) bool {
	if v := in.Get("provider"); v.Type == gjson.String {
		e.Provider = v.Str
	}
	if v := in.Get("control_location"); v.Type == gjson.String {
		e.ControlLocation = v.Str
	}
	if v := in.Get("cipher"); v.Type == gjson.String {
		cipher := v.Str
		e.Cipher = &cipher
	}
	if v := in.Get("key_size"); v.Exists() && v.Type != gjson.Null {
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err != nil {
			return false
		}
		e.KeySize = &n
	}
	return in.IsObject()
}

func nextUnencrypted(t *plan.VolumeType, _ *gateway.Request, _ gjson.Result) bool {
	had := t.Encryption != nil
	t.Encryption = nil
	return had
}

// unused lets through what Cinder does with a type only while no volume has it. The
// pod that is asked first knows of its own volumes only.
func (a *api) unused(refusal string, then gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		answers, err := a.Dispatch.All(ctx, nil, pod.Request{
			Service: pod.Volume, Method: http.MethodGet, Path: "/volumes", Op: "list volumes",
			Query: url.Values{"all_tenants": {"1"}, "volume_type_id": {r.Param("id")}, "limit": {"1"}},
		})
		if err != nil {
			return nil, err
		}
		for _, n := range answers {
			if n.Err == nil && gjson.GetBytes(n.Body, "volumes.#").Int() > 0 {
				return nil, fault.New(fault.Invalid, "", "%s", refusal)
			}
		}
		return then(ctx, by, r)
	}
}
