package compute

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// Key pairs are the same in every pod, so that a server can have one wherever it
// goes. One that was in a pod before there was a region gets elsewhere when a
// server there first needs it: see post.

// keypairs is "GET /os-keypairs".
func (a *api) keypairs(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	query, v := r.URL.Query(), versionOf(r)
	limit, marker := maxLimit, ""
	q := question{Method: http.MethodGet, Path: r.Path(), Query: r.URL.Query(), Version: v, Op: "list key pairs"}
	if v.AtLeast(2, 35) {
		var err error
		if limit, err = limitOf(query); err != nil {
			return nil, err
		}
		marker = query.Get("marker")
		q.Query.Del("limit")
		q.Query.Del("marker")
	}
	answers, err := a.collect(ctx, by, q, "keypairs", "keypair.name")
	if err != nil {
		return nil, replica.Regional(err)
	}
	l, err := a.replicas().Lag(ctx, store.KindKeypair)
	if err != nil {
		return nil, err
	}
	owner := ownerOf(by, v, query.Get("user_id"))
	items := union(answers, "keypairs", "keypair.name", func(name, pod string) (old, gone bool) {
		return l.Of(store.KindKeypair, plan.KeypairID(owner, name), pod)
	})
	sortItems(items, "keypair.name", false)
	items, more, err := pageOf(items, "keypair.name", marker, limit)
	if err != nil {
		return nil, fault.New(fault.Invalid, "", "Marker %s could not be found.", marker)
	}
	list := make([]json.RawMessage, 0, len(items))
	for _, item := range items {
		list = append(list, json.RawMessage(item.Raw))
	}
	body := map[string]any{"keypairs": list}
	if more && v.AtLeast(2, 35) {
		body["keypairs_links"] = []map[string]string{{"rel": "next", "href": nextURL(r, items[len(items)-1].Get("keypair.name").Str)}}
	}
	return a.merged(body, answers), nil
}

// ownerOf is whose key pairs a request means: admins may name a user since 2.10.
func ownerOf(by identity.Caller, v gateway.Microversion, named string) string {
	if named != "" && v.AtLeast(2, 10) {
		return named
	}
	return by.UserID
}

// createKeypair is "POST /os-keypairs". The first pod makes the key or takes it;
// the others get its public half.
func (a *api) createKeypair(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	q.Op = "create key pair"
	asked := gjson.GetBytes(q.Body, "keypair")
	// Nova drops spaces around a name.
	owner, name := ownerOf(by, q.Version, asked.Get("user_id").Str), strings.Join(strings.Fields(asked.Get("name").Str), " ")
	return a.change(ctx, by, r, change{
		kind: store.KindKeypair, id: plan.KeypairID(owner, name), name: name, act: store.ActCreate, question: q,
		once:  !asked.Get("public_key").Exists(),
		taken: func(ctx context.Context) (map[string]error, error) { return a.keypairTaken(ctx, by, q, owner, name) },
		made: func(n answer) (json.RawMessage, bool) {
			doc := gjson.GetBytes(n.Body, "keypair")
			return plan.ReadKeypair(doc, owner).Content(), doc.Get("name").Str == name && doc.Get("public_key").Str != ""
		},
	})
}

// keypairTaken says which pods have a key pair of the name.
func (a *api) keypairTaken(ctx context.Context, by identity.Caller, q question, owner, name string) (map[string]error, error) {
	l, err := a.replicas().Lag(ctx, store.KindKeypair)
	if err != nil || name == "" {
		return nil, err
	}
	show := question{Method: http.MethodGet, Path: "/os-keypairs/" + url.PathEscape(name), Version: q.Version, Op: "show key pair"}
	if owner != by.UserID {
		show.Query = url.Values{"user_id": {owner}}
	}
	answers, err := a.askAll(ctx, by, show)
	if err != nil {
		return nil, err
	}
	taken := map[string]error{}
	for _, n := range succeeded(answers) {
		if _, gone := l.Of(store.KindKeypair, plan.KeypairID(owner, name), n.Pod); !gone {
			taken[n.Pod] = &fault.Error{Kind: fault.Conflict, Pod: n.Pod, Message: "Key pair '" + name + "' already exists."}
		}
	}
	return taken, nil
}

// deleteKeypair is "DELETE /os-keypairs/{name}".
func (a *api) deleteKeypair(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	q.Op = "delete key pair"
	owner := ownerOf(by, q.Version, q.Query.Get("user_id"))
	if owner != by.UserID && !by.IsAdmin() {
		reply, err := a.anyPod(ctx, by, r) // for the pods' policy to refuse
		return reply, replica.Regional(err)
	}
	return a.change(ctx, by, r, change{kind: store.KindKeypair, id: plan.KeypairID(owner, r.Param("id")), act: store.ActDelete, question: q})
}

func keypairID(by identity.Caller, r *gateway.Request) string {
	return plan.KeypairID(ownerOf(by, versionOf(r), r.URL.Query().Get("user_id")), r.Param("id"))
}

func noKeypair(by identity.Caller, r *gateway.Request) error {
	return fault.New(fault.NotFound, "", "Keypair %s not found for user %s", r.Param("id"),
		ownerOf(by, versionOf(r), r.URL.Query().Get("user_id")))
}

// bringKey gives the pod a key pair that another pod has: what its job does, for
// a user who waits. It reports whether the pod has it now.
func (a *api) bringKey(ctx context.Context, by identity.Caller, name, podName string) bool {
	id := plan.KeypairID(by.UserID, name)
	release, err := a.Reconciler.HoldReplica(ctx, store.KindKeypair, id)
	if err != nil {
		return false
	}
	defer release()
	if _, err := a.Reconciler.Record(ctx, store.KindKeypair, id); err != nil {
		return false
	}
	// The pod may have lost what it was given.
	if err := a.Store.Touch(ctx, store.KindKeypair, id); err != nil {
		return false
	}
	return a.Reconciler.Ensure(ctx, store.Target{Kind: store.KindKeypair, ID: id, Pod: podName}, nil) == nil
}
