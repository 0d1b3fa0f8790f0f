package reconcile

import (
	"context"
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// cinderOne asks the pod's Block Storage and returns the answer's one member; all of
// it for an empty one.
func cinderOne(ctx context.Context, c *pod.Client, r pod.Request, member string, body any) (gjson.Result, error) {
	r.Service = pod.Volume
	var out json.RawMessage
	if err := c.JSON(ctx, r, body, &out); err != nil {
		return gjson.Result{}, err
	}
	if member == "" {
		return gjson.ParseBytes(out), nil
	}
	found := gjson.GetBytes(out, member)
	if !found.Exists() {
		return found, unintelligible(c, r, member)
	}
	return found, nil
}

// cinderDo asks for something that has no answer. What is refused in the way of
// fine is as good as done.
func cinderDo(ctx context.Context, c *pod.Client, r pod.Request, body any, fine ...fault.Kind) error {
	r.Service = pod.Volume
	err := c.JSON(ctx, r, body, nil)
	for _, kind := range fine {
		if fault.Is(err, kind) {
			return nil
		}
	}
	return err
}
