package volume

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// cleanup is "POST /workers/cleanup". A service is named by its number, which is
// the region's; a resource is in one pod, and the others say that they have nothing
// to clean.
func (a *api) cleanup(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	podName, err := a.hostInBody(ctx, r, "host", "cluster_name")
	if err != nil {
		return nil, err
	}
	if podName == "" {
		if podName, err = a.serviceInBody(ctx, r); err != nil {
			return nil, err
		}
	}
	answers, away, err := a.tellPods(ctx, by, r, podName)
	if err != nil {
		return nil, err
	}
	reply := map[string]any{}
	for _, field := range []string{"cleaning", "unavailable"} {
		rows := []json.RawMessage{}
		for _, answer := range answers {
			some, err := a.rowsOf(ctx, []dispatch.Answer{answer}, field, a.numbered(answer.Pod))
			if err != nil {
				return nil, err
			}
			rows = append(rows, some...)
		}
		reply[field] = rows
	}
	return gateway.JSON(answers[0].Status, reply).Without(away...), nil
}

// serviceInBody finds the pod of the service whose number the body has, and puts the
// pod's own number there.
func (a *api) serviceInBody(ctx context.Context, r *gateway.Request) (podName string, err error) {
	body, err := r.Bytes()
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseInt(gjson.GetBytes(body, "service_id").String(), 10, 64)
	if err != nil {
		return "", nil // none, or one that Cinder refuses
	}
	podName, number, err := a.Fleet.PodNumber(ctx, n)
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.NotFound, "", "Service %d could not be found.", n)
	}
	if err != nil {
		return "", err
	}
	if body, err = sjson.SetBytes(body, "service_id", number); err != nil {
		return "", err
	}
	r.SetBytes(body)
	return podName, nil
}

// numbered shows what has a number of the pod's.
func (a *api) numbered(podName string) func(l look, row gjson.Result) []byte {
	return func(l look, row gjson.Result) []byte {
		raw := []byte(row.Raw)
		row = gjson.ParseBytes(raw)
		edits := l.edits(nil, row)
		if id := row.Get("id"); id.Type == gjson.Number {
			edits = append(edits, gateway.Instead(id, strconv.FormatInt(a.Fleet.RegionNumber(podName, id.Int()), 10)))
		}
		return gateway.Splice(raw, edits)
	}
}
