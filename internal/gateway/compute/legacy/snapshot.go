package legacy

import (
	"context"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// flag is a boolean in any of the ways that Nova takes it.
var flag = schema{types: []string{"boolean", "string"}, enum: []string{
	"true", `"True"`, `"TRUE"`, `"true"`, `"1"`, `"ON"`, `"On"`, `"on"`, `"YES"`, `"Yes"`, `"yes"`,
	"false", `"False"`, `"FALSE"`, `"false"`, `"0"`, `"OFF"`, `"Off"`, `"off"`, `"NO"`, `"No"`, `"no"`,
}}

var snapshotBody = objectOf([]string{"snapshot"}, property{"snapshot", objectOf([]string{"volume_id"},
	property{"volume_id", text}, property{"force", flag}, property{"display_name", text}, property{"display_description", text},
)})

// snapshotView is a snapshot of a volume as Nova shows it.
func snapshotView(v gjson.Result) object {
	return object{
		"id": raw(v.Get("id")), "volumeId": raw(v.Get("volume_id")), "status": raw(v.Get("status")), "size": raw(v.Get("size")),
		"createdAt": raw(v.Get("created_at")), "displayName": raw(v.Get("name")), "displayDescription": raw(v.Get("description")),
	}
}

// listSnapshots is "GET /os-snapshots", and "/detail", which says no more.
func (d *Doors) listSnapshots(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return d.listBlocks(ctx, by, r, snaps, "snapshots", snapshotView)
}

// showSnapshot is "GET /os-snapshots/{id}".
func (d *Doors) showSnapshot(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.ask(ctx, by, http.MethodGet, below(snaps, r.Param("id")), nil)
	if err == nil {
		err = s.blockFault(missingSnapshot(r.Param("id")))
	}
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"snapshot": snapshotView(s.get("snapshot"))}), nil
}

// deleteSnapshot is "DELETE /os-snapshots/{id}".
func (d *Doors) deleteSnapshot(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.ask(ctx, by, http.MethodDelete, below(snaps, r.Param("id")), nil)
	if err == nil {
		err = s.blockFault(missingSnapshot(r.Param("id")))
	}
	if err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusAccepted), nil
}

// createSnapshot is "POST /os-snapshots".
func (d *Doors) createSnapshot(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := read(r, snapshotBody)
	if err != nil {
		return nil, err
	}
	asked := doc.Get("snapshot")
	id := asked.Get("volume_id").Str
	s, err := d.tell(ctx, by, http.MethodPost, snaps, object{"snapshot": object{
		"volume_id": id, "force": isTrue(asked.Get("force").String()),
		"name": raw(asked.Get("display_name")), "description": raw(asked.Get("display_description")),
	}})
	if err == nil {
		err = s.blockFault(missingVolume(id))
	}
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"snapshot": snapshotView(s.get("snapshot"))}), nil
}
