package volume

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

func (a *api) qosRoutes() []gateway.Route {
	const policy = "volume_extension:qos_specs_manage:"
	any := a.anyReplica(store.KindQoSSpecs)
	associating := changer(a, store.KindQoSSpecs, func(*plan.QoSSpecs, *gateway.Request, gjson.Result) bool { return false })
	return replicatedRoutes(
		gateway.Route{Method: get, Pattern: "/qos-specs", Strategy: gateway.Merged, Policy: policy + "get_all", Admin: true, Handle: a.listReplicas(qosList)},
		gateway.Route{Method: post, Pattern: "/qos-specs", Policy: policy + "create", Admin: true,
			Handle: a.creator(store.KindQoSSpecs, "qos_specs", func(doc gjson.Result) json.RawMessage { return plan.ReadQoSSpecs(doc).Content() })},
		gateway.Route{Method: get, Pattern: "/qos-specs/{id}", Policy: policy + "get", Admin: true, Handle: any},
		gateway.Route{Method: put, Pattern: "/qos-specs/{id}", Policy: policy + "update", Admin: true, Handle: changer(a, store.KindQoSSpecs, nextQoS)},
		gateway.Route{Method: remove, Pattern: "/qos-specs/{id}", Policy: policy + "delete", Admin: true, Handle: a.deleteQoS},
		gateway.Route{Method: put, Pattern: "/qos-specs/{id}/delete_keys", Policy: policy + "delete", Admin: true, Handle: a.deleteQoSKeys},
		gateway.Route{Method: get, Pattern: "/qos-specs/{id}/associations", Policy: policy + "get_all", Admin: true, Handle: any},
		gateway.Route{Method: get, Pattern: "/qos-specs/{id}/associate", Policy: policy + "update", Admin: true, Handle: a.associate(nextAssociated, associating)},
		gateway.Route{Method: get, Pattern: "/qos-specs/{id}/disassociate", Policy: policy + "update", Admin: true, Handle: a.associate(nextDisassociated, associating)},
		gateway.Route{Method: get, Pattern: "/qos-specs/{id}/disassociate_all", Policy: policy + "update", Admin: true, Handle: a.disassociateAll},
	)
}

func nextQoS(q *plan.QoSSpecs, _ *gateway.Request, body gjson.Result) bool {
	specs := body.Get("qos_specs")
	specs.ForEach(func(key, value gjson.Result) bool {
		if key.Str == "consumer" {
			q.Consumer = value.String()
		} else {
			q.Specs[key.Str] = value.String()
		}
		return true
	})
	return specs.IsObject()
}

// deleteQoSKeys is "PUT /qos-specs/{id}/delete_keys". Cinder deletes keys up to the
// first that is not there; here none is deleted then, as the pods would else differ.
func (a *api) deleteQoSKeys(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := a.question(ctx, r)
	if err != nil {
		return nil, err
	}
	id, missing := r.Param("id"), ""
	next := func(specs *plan.QoSSpecs, _ *gateway.Request, body gjson.Result) bool {
		left := maps.Clone(specs.Specs)
		for _, key := range body.Get("keys").Array() {
			if _, ok := left[key.Str]; !ok && missing == "" {
				missing = key.Str
			}
			delete(left, key.Str)
		}
		specs.Specs = left
		return body.Get("keys").IsArray()
	}
	ch := changeOf(q, store.KindQoSSpecs, id, next)
	if rep, err := a.Reconciler.Record(ctx, ch.kind, id); err == nil {
		if _, ok := ch.next(rep.Content); ok && missing != "" {
			return nil, fault.New(fault.NotFound, "", "QoS spec %s has no spec with key %s.", id, missing)
		}
	}
	return a.changeAll(ctx, by, q, ch)
}

// associate changes the volume type that the query names. Without one the pods
// refuse it.
func (a *api) associate(next func(*plan.VolumeType, *gateway.Request, gjson.Result) bool, otherwise gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		id := r.URL.Query().Get("vol_type_id")
		if id == "" {
			return otherwise(ctx, by, r)
		}
		q, err := a.question(ctx, r)
		if err != nil {
			return nil, err
		}
		return a.changeAll(ctx, by, q, changeOf(q, store.KindVolumeType, id, next))
	}
}

func nextAssociated(t *plan.VolumeType, r *gateway.Request, _ gjson.Result) bool {
	free := t.QoS == "" || t.QoS == r.Param("id")
	t.QoS = r.Param("id")
	return free
}

func nextDisassociated(t *plan.VolumeType, r *gateway.Request, _ gjson.Result) bool {
	if t.QoS == r.Param("id") {
		t.QoS = ""
	}
	return true
}

// disassociateAll is "GET /qos-specs/{id}/disassociate_all".
func (a *api) disassociateAll(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := a.freeTypes(ctx, by, r); err != nil {
		return nil, err
	}
	return a.anyReplica(store.KindQoSSpecs)(ctx, by, r)
}

// freeTypes takes the QoS specs from the types that have them, one by one.
func (a *api) freeTypes(ctx context.Context, by identity.Caller, r *gateway.Request) error {
	q, err := a.question(ctx, r)
	if err != nil {
		return err
	}
	types, err := a.Store.ListReplicas(ctx, store.KindVolumeType)
	if err != nil {
		return err
	}
	specs := r.Param("id")
	for _, rep := range types {
		if gjson.GetBytes(rep.Content, "qos_specs_id").Str != specs {
			continue
		}
		ask := a.disassociation(by, q, specs, rep.ID)
		if _, err := a.changeBy(ctx, changeOf(q, store.KindVolumeType, rep.ID, nextDisassociated), ask); err != nil {
			return err
		}
	}
	return nil
}

// disassociation asks a pod to take the specs from one type.
func (a *api) disassociation(by identity.Caller, q question, specs, id string) func(context.Context, string) dispatch.Answer {
	return func(ctx context.Context, podName string) dispatch.Answer {
		req := ask(&by, q.request, "disassociate QoS specs")
		req.Method, req.Path, req.RawQuery = http.MethodGet, "/qos-specs/"+url.PathEscape(specs)+"/disassociate", "vol_type_id="+url.QueryEscape(id)
		return a.Dispatch.Ask(ctx, podName, req)
	}
}

// deleteQoS is "DELETE /qos-specs/{id}". By force, it takes the specs from the types
// that have them first.
func (a *api) deleteQoS(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	force := gjson.Result{Type: gjson.String, Str: r.URL.Query().Get("force")}
	if is, ok := truth(force); ok && is {
		if err := a.freeTypes(ctx, by, r); err != nil {
			return nil, err
		}
	}
	return a.remover(store.KindQoSSpecs)(ctx, by, r)
}
