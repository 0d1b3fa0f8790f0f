package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// creation is one volume on its way: what the pod is to be asked, and where.
type creation struct {
	by      identity.Caller
	request *gateway.Request
	body    []byte // in the pod's words, without the mark
	pod     store.Pod
	fill    *store.VolumeFill // nil: it gets its data where it is
}

// createVolume chooses the pod, then creates there. The volume lands where what
// it is made from is; else where the zone, the image and the project's binding
// say.
func (a *api) createVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var document any
	if err := r.JSON(&document); err != nil {
		return nil, err
	}
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	if !gjson.GetBytes(body, "volume").IsObject() {
		return a.somePod(ctx, by, r)
	}
	if err := refuseMark(gjson.GetBytes(body, "volume.metadata")); err != nil {
		return nil, err
	}
	chosen, from, err := a.place(ctx, by, body)
	if err != nil {
		return nil, err
	}
	var fill *store.VolumeFill
	if from != nil {
		if body, fill, err = a.empty(ctx, by, body, *from, chosen); err != nil {
			return nil, err
		}
	}
	if body, err = podBody(body, chosen); err != nil {
		return nil, err
	}
	return a.make(ctx, creation{by: by, request: r, body: body, pod: chosen, fill: fill})
}

// make journals the creation, asks the pod, and records the volume. After a lost
// answer, or a crash, the intent's job finds the volume by its mark.
func (a *api) make(ctx context.Context, c creation) (*gateway.Reply, error) {
	in := store.Intent{
		ID: uuid.NewString(), Kind: store.KindVolume, Pod: c.pod.Name, ProjectID: c.by.ProjectID, UserID: c.by.UserID,
		Name: gjson.GetBytes(c.body, "volume.name").String(), Zone: c.pod.Zone, Amounts: a.volumeTakes(ctx, c.by, c.body, c.pod.Name),
		Fill: c.fill,
	}
	return a.grow(ctx, growth{
		intent: in,
		ask:    func(ctx context.Context) (*gateway.Reply, error) { return a.post(ctx, c, in.ID) },
		done:   a.settle(c.by, volumes),
	})
}

// post asks the pod for the volume with the mark.
func (a *api) post(ctx context.Context, c creation, mark string) (*gateway.Reply, error) {
	body, err := withMark(c.body, mark)
	if err != nil {
		return nil, err
	}
	client, err := a.Dispatch.Client(ctx, c.pod.Name)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(ctx, pod.Request{ //nolint:bodyclose // Rewritten does
		Service: pod.Volume, Method: http.MethodPost, Path: c.request.Path(), RawQuery: c.request.URL.RawQuery,
		Header: gateway.PassHeader(c.request.Header), Body: bytes.NewReader(body), As: &c.by, Op: "create volume",
	})
	if err != nil {
		return nil, err
	}
	reply, err := gateway.Rewritten(c.request, resp, c.pod.Name, c.request.Path(), func(body []byte) ([]byte, error) {
		return gateway.SetField(withoutMark(body, "volume.metadata"), "volume.availability_zone", c.pod.Zone), nil
	})
	if err != nil {
		return nil, err
	}
	if said, ok := reply.Body.([]byte); ok && reply.Status >= http.StatusBadRequest {
		reply.Body = unquoteMark(said, c.body, mark)
	}
	return reply, nil
}

// unquoteMark takes the mark out of an error in which Cinder quotes the request, in
// Python's words, so that it reads as the one that was made.
func unquoteMark(said, body []byte, mark string) []byte {
	entry := "'" + markKey + "': '" + mark + "'"
	var words *strings.Replacer
	switch metadata := gjson.GetBytes(body, "volume.metadata"); {
	case !metadata.Exists():
		words = strings.NewReplacer(", 'metadata': {"+entry+"}", "", "'metadata': {"+entry+"}", "")
	case metadata.Type == gjson.Null:
		words = strings.NewReplacer("{"+entry+"}", "None")
	default:
		words = strings.NewReplacer(", "+entry, "", entry, "")
	}
	return []byte(words.Replace(string(said)))
}

// withMark adds the mark to the metadata. Metadata that is none is left as it is:
// the pod refuses it.
func withMark(body []byte, mark string) (out []byte, err error) {
	switch metadata := gjson.GetBytes(body, "volume.metadata"); {
	case metadata.IsObject() || !metadata.Exists():
		out, err = sjson.SetBytes(body, "volume.metadata."+markKey, mark)
	case metadata.Type == gjson.Null:
		out, err = sjson.SetBytes(body, "volume.metadata", map[string]string{markKey: mark})
	default:
		return body, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write the mark: %w", err)
	}
	return out, nil
}

// unknown is the error for something whose outcome only the pod knows. The intent's
// job finds out.
func unknown(err error, kind string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	said := *f
	if said.Kind != fault.Timeout {
		said.Kind = fault.Unavailable
	}
	switch kind {
	case store.KindGrowth, store.KindTransfer:
		said.Message += "; whether the volume was changed is being found out: look at it before trying again"
	default:
		said.Message += "; whether the " + kind + " was created is being found out: look for it before trying again"
	}
	return &said
}
