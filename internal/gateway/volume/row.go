package volume

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/reconcile"
)

// look is how what a pod shows must read here.
type look struct {
	zone string              // the region's, of the pod
	host func(string) string // the region's name of a host
}

func (a *api) lookOf(ctx context.Context, podName string, zones map[string]string) look {
	return look{zones[podName], func(host string) string { return a.Fleet.StorageHostName(ctx, podName, host) }}
}

// edits are those that make a thing of any kind the region's. Zones and hosts have
// the same names wherever Cinder shows them.
func (l look) edits(edits []gateway.Edit, thing gjson.Result) []gateway.Edit {
	thing.ForEach(func(k, value gjson.Result) bool {
		switch k.Str {
		case "availability_zone", "zone":
			edits = gateway.Renamed(edits, value, func(string) string { return l.zone })
		case "os-vol-host-attr:host", "cluster_name", "host", "host_name", "cluster": // admins only
			edits = gateway.Renamed(edits, value, l.host)
		case "attachments":
			value.ForEach(func(_, attachment gjson.Result) bool {
				edits = gateway.Renamed(edits, attachment.Get("host_name"), l.host)
				return true
			})
		case "metadata":
			if strings.Contains(value.Raw, `"`+reconcile.MarkKey+`"`) {
				edits = append(edits, gateway.Instead(value, gateway.WithoutMember(value, reconcile.MarkKey)))
			}
		}
		return true
	})
	return edits
}

// shown is one thing, as it stands in a list, as clients see it.
func (l look) shown(raw []byte) []byte {
	return gateway.Splice(raw, l.edits(nil, gjson.ParseBytes(raw)))
}

// document is an answer with the thing in it, or a part of the thing.
func (l look) document(body []byte, item string) []byte {
	thing := gjson.GetBytes(body, item)
	if !thing.IsObject() { // a part of it: {"metadata": {...}}
		thing = gjson.ParseBytes(body)
	}
	return gateway.Splice(body, l.edits(nil, thing))
}

// rowWriter makes rows as clients see them.
func (a *api) rowWriter(ctx context.Context, r *gateway.Request, of resource, as view, path string) (func([]byte, dispatch.Row) []byte, error) {
	zones, err := a.zoneNames(ctx)
	if err != nil {
		return nil, err
	}
	fills, err := a.fills(ctx, of)
	if err != nil {
		return nil, err
	}
	return func(dst []byte, row dispatch.Row) []byte {
		raw := row.Raw
		if as == brief && of.brief != nil {
			raw = briefOf(raw, of.brief)
		} else {
			raw = a.lookOf(ctx, row.Pod, zones).shown(raw)
			if len(fills) > 0 {
				if f, ok := fills[gjson.GetBytes(raw, "id").Str]; ok {
					raw = asFilled(raw, "", f)
				}
			}
		}
		if row.Asked == nil {
			return append(dst, raw...)
		}
		return gateway.LinksFrom(r, row.Asked, path).Append(dst, raw)
	}, nil
}

// briefOf is the short form of a detailed row.
func briefOf(raw []byte, fields []string) []byte {
	out := []byte{'{'}
	for _, name := range fields {
		found := gjson.GetBytes(raw, name)
		if !found.Exists() {
			continue
		}
		if len(out) > 1 {
			out = append(out, ", "...)
		}
		out = fmt.Appendf(out, `"%s": %s`, name, found.Raw)
	}
	return append(out, '}')
}

// tail adds the next page's link and the count, if the client asked for it.
func tail(r *gateway.Request, of resource) func([]byte, dispatch.Summary) []byte {
	return func(dst []byte, s dispatch.Summary) []byte {
		if s.Full && s.Count > 0 && of.next != "" {
			query := r.URL.Query()
			query.Set("marker", s.LastID)
			query.Del("offset")
			link := r.RootURL() + r.Path() + "?" + query.Encode()
			dst = fmt.Appendf(dst, `, "%s": [{"rel": "next", "href": %s}]`, of.next, gateway.Quote(link))
		}
		total, counted := int64(0), false
		for _, members := range s.Members {
			if n, err := strconv.ParseInt(string(members["count"]), 10, 64); err == nil {
				total, counted = total+n, true
			}
		}
		if counted {
			dst = fmt.Appendf(dst, `, "count": %d`, total)
		}
		return dst
	}
}

// countOf adds up the pods' counts, which they tell only if asked.
func countOf(answers []dispatch.Answer) (total int64, counted bool) {
	for _, answer := range answers {
		if count := gjson.GetBytes(answer.Body, "count"); count.Exists() {
			total, counted = total+count.Int(), true
		}
	}
	return total, counted
}
