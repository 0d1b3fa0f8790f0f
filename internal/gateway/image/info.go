package image

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

// asJSON has pods refuse in words that are not a page of HTML.
var asJSON = http.Header{"Accept": {"application/json"}}

// all asks every pod the client's question, and returns what was answered. With no
// answer that is well, the best of the errors.
func (a *api) all(ctx context.Context, by identity.Caller, r *gateway.Request) ([]dispatch.Answer, error) {
	answers, err := a.Dispatch.All(ctx, nil, pod.Request{
		Service: pod.Image, Method: get, Path: r.Path(), RawQuery: r.URL.RawQuery, Header: asJSON, As: &by, Op: opOf(r),
	})
	if err != nil {
		return nil, err
	}
	var refused, failed error
	for _, answer := range answers {
		switch {
		case answer.Err == nil:
		case answer.Away():
			failed = answer.Err
		default:
			refused = regional(answer.Err)
		}
	}
	good := slices.DeleteFunc(answers, func(n dispatch.Answer) bool { return n.Err != nil })
	switch {
	case len(good) > 0:
		return good, nil
	case refused != nil:
		return nil, refused
	case failed != nil:
		return nil, failed
	}
	return nil, fault.New(fault.Unavailable, "", "the region has no pods")
}

// importMethods are those that every pod offers: an image may get its home in any.
func (a *api) importMethods(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	answers, err := a.all(ctx, by, r)
	if err != nil {
		return nil, err
	}
	var methods []string
	for i, answer := range answers {
		var here []string
		for _, m := range gjson.GetBytes(answer.Body, "import-methods.value").Array() {
			here = append(here, m.String())
		}
		if i == 0 {
			methods = here
			continue
		}
		methods = slices.DeleteFunc(methods, func(m string) bool { return !slices.Contains(here, m) })
	}
	if methods == nil {
		methods = []string{}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"import-methods": map[string]any{
		"description": "Import methods available.", "type": "array", "value": methods,
	}}), nil
}

// stores are those that every pod has by that name, as the first shows them: a
// client that names one may be answered by any pod.
func (a *api) stores(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	answers, err := a.all(ctx, by, r)
	if err != nil {
		return nil, err
	}
	first := gjson.GetBytes(answers[0].Body, "stores").Array()
	common := []json.RawMessage{}
	for _, s := range first {
		everywhere := true
		for _, answer := range answers[1:] {
			names := gjson.GetBytes(answer.Body, "stores.#.id").Array()
			everywhere = everywhere && slices.ContainsFunc(names, func(n gjson.Result) bool { return n.Str == s.Get("id").Str })
		}
		if everywhere {
			common = append(common, json.RawMessage(s.Raw))
		}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"stores": common}), nil
}

// usage adds up what the pods count against the project, and what they allow it.
// A pod without a limit (-1) has none for the region.
func (a *api) usage(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	answers, err := a.all(ctx, by, r)
	if err != nil {
		return nil, err
	}
	type number struct {
		Usage int64 `json:"usage"`
		Limit int64 `json:"limit"`
	}
	sums := map[string]number{}
	for _, answer := range answers {
		gjson.GetBytes(answer.Body, "usage").ForEach(func(name, n gjson.Result) bool {
			sum, limit := sums[name.Str], n.Get("limit").Int()
			if limit < 0 || sum.Limit < 0 {
				limit, sum.Limit = -1, 0
			}
			sums[name.Str] = number{sum.Usage + n.Get("usage").Int(), sum.Limit + limit}
			return true
		})
	}
	return gateway.JSON(http.StatusOK, map[string]any{"usage": sums}), nil
}
