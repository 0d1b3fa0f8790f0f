package compute

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// summedLimits are those that each pod counts for itself, so that a project has
// the sum of them. The others bound one thing, or things that are the same in all
// pods: there the least holds.
var summedLimits = map[string]bool{
	"maxTotalInstances": true, "maxTotalCores": true, "maxTotalRAMSize": true, "maxServerGroups": true,
	"instances": true, "cores": true, "ram": true, "server_groups": true,
	"limit/instances": true, "limit/cores": true, "limit/ram": true, "limit/server_groups": true,
}

// addUp merges one number of two pods. -1 means without limit.
func addUp(name string, x, y int64) int64 {
	summed := summedLimits[name] || strings.HasPrefix(name, "total") || strings.HasSuffix(name, "/in_use") || strings.HasSuffix(name, "/reserved")
	switch {
	case summed && (x < 0 || y < 0):
		return -1
	case summed:
		return x + y
	case x < 0:
		return y
	case y < 0:
		return x
	}
	return min(x, y)
}

// numbers is an object of numbers that keeps its order.
type numbers struct {
	names  []string
	values map[string]int64
	texts  map[string]json.RawMessage // members that are no numbers: the first pod's
}

func (n *numbers) add(object gjson.Result) {
	if n.values == nil {
		n.values, n.texts = map[string]int64{}, map[string]json.RawMessage{}
	}
	object.ForEach(func(k, value gjson.Result) bool {
		_, known := n.values[k.Str]
		_, text := n.texts[k.Str]
		if !known && !text {
			n.names = append(n.names, k.Str)
		}
		switch {
		case value.Type != gjson.Number:
			if !text {
				n.texts[k.Str] = json.RawMessage(value.Raw)
			}
		case known:
			n.values[k.Str] = addUp(k.Str, n.values[k.Str], value.Int())
		default:
			n.values[k.Str] = value.Int()
		}
		return true
	})
}

// MarshalJSON writes the members in the order in which they came.
func (n *numbers) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range n.names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(name) + ":")
		if raw, ok := n.texts[name]; ok {
			b.Write(raw)
			continue
		}
		b.Write(mustJSON(n.values[name]))
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// limits is "GET /limits": what the project may have and has in the region.
func (a *api) limits(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	answers, err := a.sameQuestion(ctx, by, r, "limits")
	if err != nil {
		return nil, err
	}
	var sum numbers
	for _, n := range succeeded(answers) {
		sum.add(gjson.GetBytes(n.Body, "limits.absolute"))
	}
	if n, ok := sum.values["maxServerMeta"]; ok && n > 0 {
		sum.values["maxServerMeta"] = n - 1 // one is our mark
	}
	return a.merged(map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": &sum}}, answers), nil
}

// quotaSet is "GET /os-quota-sets/{id}" and its forms.
func (a *api) quotaSet(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	answers, err := a.sameQuestion(ctx, by, r, "quota_set")
	if err != nil {
		return nil, err
	}
	var sum numbers
	details := map[string]*numbers{}
	for _, n := range succeeded(answers) {
		set := gjson.GetBytes(n.Body, "quota_set")
		sum.add(set)
		set.ForEach(func(k, value gjson.Result) bool {
			if value.IsObject() {
				addDetail(details, k.Str, value)
			}
			return true
		})
	}
	for name, detail := range details {
		sum.texts[name] = mustJSON(detail.plain())
	}
	return a.merged(map[string]any{"quota_set": &sum}, answers), nil
}

// addDetail adds {"limit": …, "in_use": …, "reserved": …} under names that tell
// which resource the limit is of.
func addDetail(details map[string]*numbers, resource string, value gjson.Result) {
	n := details[resource]
	if n == nil {
		n = &numbers{}
		details[resource] = n
	}
	renamed := map[string]int64{}
	value.ForEach(func(k, number gjson.Result) bool {
		if k.Str == "limit" {
			renamed["limit/"+resource] = number.Int()
		} else {
			renamed[resource+"/"+k.Str] = number.Int()
		}
		return true
	})
	n.add(gjson.ParseBytes(mustJSON(renamed)))
}

// plain gives the members of a detail their own names back.
func (n *numbers) plain() map[string]int64 {
	out := map[string]int64{}
	for name, value := range n.values {
		before, after, _ := strings.Cut(name, "/")
		if before == "limit" {
			out["limit"] = value
		} else {
			out[after] = value
		}
	}
	return out
}

// sameQuestion asks every pod for one object; at least one must have it.
func (a *api) sameQuestion(ctx context.Context, by identity.Caller, r *gateway.Request, field string) ([]answer, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	answers, err := a.askAll(ctx, by, q)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		if n := &answers[i]; n.Err == nil && (!gjson.ValidBytes(n.Body) || !gjson.GetBytes(n.Body, field).IsObject()) {
			n.Err = &fault.Error{Kind: fault.Unavailable, Pod: n.Pod, Message: q.Op + ": the answer is not the JSON that was expected"}
		}
	}
	if len(succeeded(answers)) == 0 {
		return nil, worst(answers)
	}
	return answers, nil
}
