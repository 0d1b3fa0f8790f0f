package legacy

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

var one = 1

var volumeBody = objectOf([]string{"volume"}, property{"volume", objectOf([]string{"size"},
	property{"volume_type", text},
	property{"metadata", schema{types: []string{"object"}}},
	property{"snapshot_id", text},
	property{"size", schema{types: []string{"integer", "string"}, pattern: regexp.MustCompile(`^[0-9]+$`), minimum: &one}},
	property{"availability_zone", text},
	property{"display_name", text},
	property{"display_description", text},
)})

// volumeView is a volume as Nova shows it.
func volumeView(v gjson.Result) object {
	shown := object{
		"id": raw(v.Get("id")), "status": raw(v.Get("status")), "size": raw(v.Get("size")),
		"availabilityZone": raw(v.Get("availability_zone")), "createdAt": raw(v.Get("created_at")),
		"displayName": raw(v.Get("name")), "displayDescription": raw(v.Get("description")),
		"volumeType": raw(v.Get("volume_type")), "snapshotId": raw(v.Get("snapshot_id")),
		"metadata": json.RawMessage("{}"), "attachments": []object{{}},
	}
	if metadata := v.Get("metadata"); metadata.IsObject() {
		shown["metadata"] = raw(metadata)
	}
	if first := v.Get("attachments.0"); first.Exists() {
		a := object{"id": raw(v.Get("id")), "volumeId": raw(v.Get("id")), "serverId": raw(first.Get("server_id"))}
		if device := first.Get("device").Str; device != "" {
			a["device"] = device
		}
		shown["attachments"] = []object{a}
	}
	return shown
}

// listVolumes is "GET /os-volumes", and "/detail", which says no more.
func (d *Doors) listVolumes(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return d.listBlocks(ctx, by, r, volumes, "volumes", volumeView)
}

// listBlocks serves a list of the Block Storage API's things.
func (d *Doors) listBlocks(ctx context.Context, by identity.Caller, r *gateway.Request, path, field string, view func(gjson.Result) object) (*gateway.Reply, error) {
	offset, limit, err := slicing(r.URL.Query())
	if err != nil {
		return nil, err
	}
	list, s, err := d.all(ctx, by, path+"/detail", field, nil, offset+limit)
	if err != nil {
		return nil, err
	}
	if !s.ok() {
		return nil, s.fault()
	}
	shown := []object{}
	for _, v := range part(list, offset, limit) {
		shown = append(shown, view(v))
	}
	return s.passing(reply(http.StatusOK, object{field: shown})), nil
}

// showVolume is "GET /os-volumes/{id}".
func (d *Doors) showVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.ask(ctx, by, http.MethodGet, below(volumes, r.Param("id")), nil)
	if err == nil {
		err = s.blockFault(missingVolume(r.Param("id")))
	}
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"volume": volumeView(s.get("volume"))}), nil
}

func missingVolume(id string) error { return notFound("Volume %s could not be found.", id) }

func missingSnapshot(id string) error { return notFound("Snapshot %s could not be found.", id) }

// blockFault is the Block Storage API's refusal in Nova's words. Where Nova itself
// fails over an answer (an unknown volume type), this is that answer.
func (s said) blockFault(missing error) error {
	switch s.Status {
	case http.StatusNotFound:
		return missing
	case http.StatusBadRequest:
		return badRequest("Invalid input received: %s", s.cinder())
	case http.StatusRequestEntityTooLarge:
		return forbidden("%s", s.message())
	}
	if s.ok() {
		return nil
	}
	return s.fault()
}

// deleteVolume is "DELETE /os-volumes/{id}".
func (d *Doors) deleteVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.ask(ctx, by, http.MethodDelete, below(volumes, r.Param("id")), nil)
	if err == nil {
		err = s.blockFault(missingVolume(r.Param("id")))
	}
	if err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusAccepted), nil
}

// createVolume is "POST /os-volumes".
func (d *Doors) createVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := read(r, volumeBody)
	if err != nil {
		return nil, err
	}
	asked := doc.Get("volume")
	if id := asked.Get("snapshot_id"); id.Exists() {
		s, err := d.ask(ctx, by, http.MethodGet, below(snaps, id.Str), nil)
		if err == nil {
			err = s.blockFault(missingSnapshot(id.Str))
		}
		if err != nil {
			return nil, err
		}
	}
	volume := object{}
	for name, own := range map[string]string{
		"size": "size", "volume_type": "volume_type", "metadata": "metadata", "snapshot_id": "snapshot_id",
		"availability_zone": "availability_zone", "display_name": "name", "display_description": "description",
	} {
		if value := asked.Get(name); value.Exists() {
			volume[own] = raw(value)
		}
	}
	s, err := d.tell(ctx, by, http.MethodPost, volumes, object{"volume": volume})
	if err == nil {
		err = s.blockFault(s.fault())
	}
	if err != nil {
		return nil, err
	}
	made := reply(http.StatusOK, object{"volume": volumeView(s.get("volume"))})
	made.Header = http.Header{"Location": {r.RootURL() + "/os-volumes/" + s.get("volume.id").Str}}
	return made, nil
}
