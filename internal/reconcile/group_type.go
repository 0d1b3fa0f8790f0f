package reconcile

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

var groupTypeKind = namedKind(namedCalls[plan.GroupType]{
	path: "/group_types", member: "group_type", words: "group type", version: groupTypeVersion,
	find: findGroupType, in: plan.GroupTypeIn, change: changeGroupType,
	names: func(ctx context.Context, c *pod.Client) ([]plan.Replica, error) {
		return namesIn(pages(ctx, c, pod.Request{Service: pod.Volume, Path: "/group_types", Query: everything(), Header: groupTypeVersion, Op: "list group types"},
			paged{member: "group_types", links: "group_type_links", marker: "id"}))
	},
})

func groupTypePath(id string) string { return "/group_types/" + url.PathEscape(id) }

func findGroupType(ctx context.Context, c *pod.Client, id string) (json.RawMessage, error) {
	doc, err := cinderOne(ctx, c, reading(groupTypePath(id), "show group type", groupTypeVersion), "group_type", nil)
	if err != nil {
		return nil, missing(err)
	}
	return plan.ReadGroupType(doc).Content(), nil
}

func changeGroupType(ctx context.Context, c *pod.Client, id string, ch plan.TypeChanges) error {
	ask := func(method, path, op string, body any, fine ...fault.Kind) error {
		return cinderDo(ctx, c, pod.Request{Method: method, Path: path, Header: groupTypeVersion, Op: op}, body, fine...)
	}
	at := groupTypePath(id)
	if ch.Update != nil {
		if err := ask(http.MethodPut, at, "update group type", map[string]any{"group_type": ch.Update}); err != nil {
			return err
		}
	}
	if len(ch.SetSpecs) > 0 {
		if err := ask(http.MethodPost, at+"/group_specs", "set group specs", map[string]any{"group_specs": ch.SetSpecs}); err != nil {
			return err
		}
	}
	for _, key := range ch.DropSpecs {
		if err := ask(http.MethodDelete, at+"/group_specs/"+url.PathEscape(key), "unset group spec", nil, fault.NotFound); err != nil {
			return err
		}
	}
	return nil
}
