package image

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// Each pod's Glance has a cache of its own, and pods without one say so. What the
// region shows is all of them together: an image in two caches is there twice, with
// the pods' names.

// listCache puts the pods' lists together.
func (a *api) listCache(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	answers, err := a.all(ctx, by, r)
	if err != nil {
		return nil, err
	}
	out := map[string][]json.RawMessage{}
	for _, answer := range answers {
		gjson.ParseBytes(answer.Body).ForEach(func(field, list gjson.Result) bool {
			if out[field.Str] == nil {
				out[field.Str] = []json.RawMessage{}
			}
			for _, row := range list.Array() {
				raw := []byte(row.Raw)
				if row.IsObject() {
					raw = gateway.SetField(raw, "pod", answer.Pod)
				}
				out[field.Str] = append(out[field.Str], raw)
			}
			return true
		})
	}
	return gateway.JSON(http.StatusOK, out), nil
}

// everyCache does the same in all caches. An image is queued where it has its data.
func (a *api) everyCache(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	names, err := a.pods(ctx)
	if err != nil {
		return nil, err
	}
	if r.Param("id") != "" {
		holders, err := a.active(ctx, by, r)
		switch {
		case err == nil:
			names = holders
		case r.Method == put || !fault.Is(err, fault.NotFound): // what is deleted may still be cached
			return nil, err
		}
	}
	return a.everywhere(ctx, by, r, names)
}

// active are the pods that have the image's data, or its home.
func (a *api) active(ctx context.Context, by identity.Caller, r *gateway.Request) ([]string, error) {
	i, err := a.Dispatch.Image(ctx, by, r.Param("id"))
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "", "Image %s not found.", r.Param("id"))
	}
	if err != nil {
		return nil, err
	}
	copies, err := a.Store.ListImageCopies(ctx, i.ID)
	if err != nil {
		return nil, err
	}
	names := []string{i.Home}
	for _, c := range copies {
		if c.State == store.CopyActive && c.Wanted && !c.Home {
			names = append(names, c.Pod)
		}
	}
	return names, nil
}
