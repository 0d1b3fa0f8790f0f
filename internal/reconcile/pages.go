package reconcile

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod"
)

// maxPages bounds a list; a pod that repeats itself must not hold us for ever.
const maxPages = 1000

// paged is a list of Nova's or Cinder's that comes in pages.
type paged struct {
	member string // the list
	links  string // the member that says that there is more
	marker string // the field of the last one by which the next page is asked for
}

// pages reads a list to its end.
func pages(ctx context.Context, c *pod.Client, r pod.Request, of paged) ([]gjson.Result, error) {
	r.Method = http.MethodGet
	if r.Query == nil {
		r.Query = url.Values{}
	}
	var all []gjson.Result
	for range maxPages {
		var out json.RawMessage
		if err := c.JSON(ctx, r, nil, &out); err != nil {
			return nil, err
		}
		list := gjson.GetBytes(out, of.member)
		if !list.IsArray() {
			return nil, unintelligible(c, r, of.member)
		}
		page := list.Array()
		all = append(all, page...)
		if len(page) == 0 || !gjson.GetBytes(out, of.links).Exists() {
			return all, nil
		}
		r.Query.Set("marker", page[len(page)-1].Get(of.marker).String())
	}
	return all, nil
}
