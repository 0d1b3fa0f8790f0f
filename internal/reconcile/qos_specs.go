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

var qosSpecsKind = namedKind(namedCalls[plan.QoSSpecs]{
	path: "/qos-specs", member: "qos_specs", words: "QoS specs",
	find: findQoSSpecs, in: plan.QoSSpecsIn, change: changeQoSSpecs,
	names: func(ctx context.Context, c *pod.Client) ([]plan.Replica, error) {
		return namesIn(pages(ctx, c, pod.Request{Service: pod.Volume, Path: "/qos-specs", Op: "list QoS specs"},
			paged{member: "qos_specs", links: "qos_specs_links", marker: "id"}))
	},
})

func findQoSSpecs(ctx context.Context, c *pod.Client, id string) (json.RawMessage, error) {
	doc, err := cinderOne(ctx, c, reading("/qos-specs/"+url.PathEscape(id), "show QoS specs", nil), "qos_specs", nil)
	if err != nil {
		return nil, missing(err)
	}
	return plan.ReadQoSSpecs(doc).Content(), nil
}

func changeQoSSpecs(ctx context.Context, c *pod.Client, id string, ch plan.TypeChanges) error {
	at := "/qos-specs/" + url.PathEscape(id)
	if len(ch.SetSpecs) > 0 {
		err := cinderDo(ctx, c, pod.Request{Method: http.MethodPut, Path: at, Op: "update QoS specs"}, map[string]any{"qos_specs": ch.SetSpecs})
		if err != nil {
			return err
		}
	}
	// One by one: at one that is missing Cinder stops.
	for _, key := range ch.DropSpecs {
		err := cinderDo(ctx, c, pod.Request{Method: http.MethodPut, Path: at + "/delete_keys", Op: "unset QoS specs"},
			map[string]any{"keys": []string{key}}, fault.NotFound)
		if err != nil {
			return err
		}
	}
	return nil
}
