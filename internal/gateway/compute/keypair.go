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
	"github.com/tricircle/tricircle/internal/identity"
)

// Key pairs are the same in every pod, so that a server can have one wherever it
// goes. A pod that misses one (it was away, or is new) gets it when a server
// there first needs it: see post.

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
		return nil, err
	}
	items := union(answers, "keypairs", "keypair.name")
	sortItems(items, "keypair.name", false)
	items, more, err := pageOf(items, "keypair.name", marker, limit)
	if err != nil {
		return nil, err
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

// createKeypair is "POST /os-keypairs". The first pod that is there makes the key
// or takes it; the others get its public half. Pods that are away are left out.
func (a *api) createKeypair(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	q.Op = "create key pair"
	ctx = context.WithoutCancel(ctx)
	first, rest, err := a.firstPod(ctx, by, q)
	if err != nil {
		return nil, err
	}
	made := gjson.GetBytes(first.Body, "keypair")
	if made.Get("public_key").Str == "" {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: first.Pod, Message: "create key pair: the answer is not the JSON that was expected"}
	}
	others := a.askThese(ctx, by, rest, func(string) question { return importOf(q, made) })
	for i := range others {
		if n := &others[i]; fault.Is(n.Err, fault.Conflict) && a.sameKey(ctx, by, n.Pod, q, made) {
			n.Err = nil
		}
	}
	for _, n := range others {
		if n.Err != nil && !n.Away() {
			undo := question{Method: http.MethodDelete, Path: keypairPath(made.Get("name").Str), Version: q.Version, Op: "delete key pair", Query: userQuery(q)}
			return nil, a.undoEverywhere(ctx, by, append(others, first), undo, n.Err)
		}
	}
	return a.replyFrom(r, first, others), nil
}

// firstPod asks pod after pod until one answers, and returns those not asked.
// A pod whose answer was lost may have carried the request out: it counts as
// asked, and what it made stays until the key is deleted.
func (a *api) firstPod(ctx context.Context, by identity.Caller, q question) (answer, []string, error) {
	names, err := a.podNames(ctx)
	if err != nil {
		return answer{}, nil, err
	}
	var tried []answer
	for i, name := range names {
		n := a.ask(ctx, by, name, q)
		if n.Err == nil {
			return n, names[i+1:], nil
		}
		tried = append(tried, n)
		if !n.Away() {
			return answer{}, nil, n.Err
		}
	}
	return answer{}, nil, worst(tried)
}

// importOf is the request that gives a pod the public half of a key.
func importOf(q question, made gjson.Result) question {
	keypair := map[string]json.RawMessage{}
	if asked := gjson.GetBytes(q.Body, "keypair").Raw; json.Unmarshal([]byte(asked), &keypair) != nil {
		keypair = map[string]json.RawMessage{}
	}
	keypair["name"] = json.RawMessage(made.Get("name").Raw)
	keypair["public_key"] = json.RawMessage(made.Get("public_key").Raw)
	q.Body = mustJSON(map[string]any{"keypair": keypair})
	return q
}

func keypairPath(name string) string { return "/os-keypairs/" + url.PathEscape(name) }

// userQuery names the owner of a key that an admin makes for somebody.
func userQuery(q question) url.Values {
	if user := gjson.GetBytes(q.Body, "keypair.user_id").Str; user != "" {
		return url.Values{"user_id": {user}}
	}
	return nil
}

// sameKey reports whether the pod has that very key under that name already.
func (a *api) sameKey(ctx context.Context, by identity.Caller, podName string, q question, made gjson.Result) bool {
	n := a.ask(ctx, by, podName, question{Method: http.MethodGet, Path: keypairPath(made.Get("name").Str), Version: q.Version,
		Op: "show key pair", Query: userQuery(q)})
	return n.Err == nil && keyText(gjson.GetBytes(n.Body, "keypair.public_key").Str) == keyText(made.Get("public_key").Str)
}

// keyText is a public key without its comment.
func keyText(key string) string {
	fields := strings.Fields(key)
	return strings.Join(fields[:min(2, len(fields))], " ")
}

// bringKey gives the pod a key pair that another pod has. It reports whether the
// pod has it now.
func (a *api) bringKey(ctx context.Context, by identity.Caller, name, podName string) bool {
	version := gateway.Microversion{Major: 2, Minor: 2} // the first that shows the type
	show := question{Method: http.MethodGet, Path: keypairPath(name), Version: version, Op: "show key pair"}
	answers, err := a.askAll(ctx, by, show)
	if err != nil {
		return false
	}
	for _, n := range succeeded(answers) {
		found := gjson.GetBytes(n.Body, "keypair")
		if n.Pod == podName || !found.Get("public_key").Exists() {
			continue
		}
		keypair := map[string]json.RawMessage{"name": mustJSON(name), "public_key": json.RawMessage(found.Get("public_key").Raw)}
		if kind := found.Get("type"); kind.Exists() {
			keypair["type"] = json.RawMessage(kind.Raw)
		}
		made := a.ask(ctx, by, podName, question{Method: http.MethodPost, Path: "/os-keypairs", Version: version, Op: "create key pair",
			Body: mustJSON(map[string]any{"keypair": keypair})})
		return made.Err == nil || fault.Is(made.Err, fault.Conflict)
	}
	return false
}
