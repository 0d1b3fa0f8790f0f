package volume

import (
	"context"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// volumeActions are what "POST /volumes/{id}/action" knows by name.
func (a *api) volumeActions() []gateway.Action {
	actions := []gateway.Action{
		{Name: "os-attach", Strategy: gateway.Routed, Handle: a.on(volumes, a.attach), Note: "to a server of the volume's pod"},
		{Name: "os-migrate_volume", Strategy: gateway.Routed, Handle: a.on(volumes, a.migrate), Note: "within the volume's pod"},
		{Name: "os-volume_upload_image", Strategy: gateway.Routed, Handle: a.on(volumes, a.uploadImage), Note: "the image's home is the volume's pod"},
		{Name: "os-extend", Strategy: gateway.Routed, Handle: a.on(volumes, a.extend), Note: "within the region's quota"},
		{Name: "os-retype", Strategy: gateway.Routed, Handle: a.on(volumes, a.retype), Note: "within the region's quota"},
		{Name: "os-unmanage", Strategy: gateway.Routed, Handle: a.on(volumes, a.unmanage)},
	}
	for name := range strings.FieldsSeq(passedActions) {
		actions = append(actions, gateway.Action{Name: name, Strategy: gateway.Routed, Handle: a.routed(volumes)})
	}
	return actions
}

// passedActions concern the volume's pod alone.
const passedActions = `
	os-begin_detaching os-detach os-extend_volume_completion os-force_delete os-force_detach
	os-initialize_connection os-migrate_volume_completion os-reimage os-reserve os-reset_status
	os-roll_detaching os-set_bootable os-set_image_metadata os-show_image_metadata os-terminate_connection
	os-unreserve os-unset_image_metadata os-update_readonly_flag revert
`

// actOnVolume is "POST /volumes/{id}/action". An action that has no line is the
// pod's to know or to refuse.
func (a *api) actOnVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	name := ""
	gjson.ParseBytes(body).ForEach(func(k, _ gjson.Result) bool {
		name = k.Str
		return false
	})
	if i := slices.IndexFunc(r.Route.Actions, func(x gateway.Action) bool { return x.Name == name }); i >= 0 {
		return r.Route.Actions[i].Handle(ctx, by, r)
	}
	return a.routed(volumes)(ctx, by, r)
}

// attach refuses a server of another pod.
func (a *api) attach(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	if err := a.nearServer(ctx, by, r, podName, r.Param("id"), "os-attach.instance_uuid"); err != nil {
		return nil, err
	}
	return a.pass(ctx, by, r, podName, volumes)
}

// nearServer refuses a request whose body names a server that is in another pod than
// the volume.
func (a *api) nearServer(ctx context.Context, by identity.Caller, r *gateway.Request, podName, volumeID, path string) error {
	server, err := named(r, path)
	if err != nil || server == "" {
		return err
	}
	return a.sameZone(ctx, by, podName, "volume "+volumeID, store.KindServer, server)
}

// migrate names the host to go to as the pod does. A volume stays in its pod.
func (a *api) migrate(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	at, err := a.hostInBody(ctx, r, "os-migrate_volume.host", "os-migrate_volume.cluster")
	if err != nil {
		return nil, err
	}
	if at != "" && at != podName {
		zones, err := a.zoneNames(ctx)
		if err != nil {
			return nil, err
		}
		return nil, fault.New(fault.Invalid, "", "Invalid input received: volume %s is in zone %s and the host in zone %s: a volume stays in its pod",
			r.Param("id"), placeOf(zones, podName, at), placeOf(zones, at, podName))
	}
	return a.pass(ctx, by, r, podName, volumes)
}

// uploadImage makes an image out of the volume, in its pod.
func (a *api) uploadImage(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	reply, err := a.pass(ctx, by, r, podName, volumes)
	if err != nil || reply.Status >= 300 {
		return reply, err
	}
	if body, ok := reply.Body.([]byte); ok {
		a.noteImage(ctx, by, podName, gjson.GetBytes(body, "os-volume_upload_image.image_id").Str)
	}
	return reply, nil
}

// unmanage leaves a volume to its back end: Cinder does not know it any more.
func (a *api) unmanage(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	reply, err := a.pass(ctx, by, r, podName, volumes)
	if err == nil && reply.Status < 300 {
		a.forget(ctx, by, store.KindVolume, r.Param("id"))
	}
	return reply, err
}

// createAttachment is a server's half of an attachment, in the volume's pod.
func (a *api) createAttachment(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id, err := named(r, "attachment.volume_uuid")
	if err != nil {
		return nil, err
	}
	if id == "" {
		return a.somePod(ctx, by, r)
	}
	podName, err := a.Dispatch.Locate(ctx, by, store.KindVolume, id)
	if fault.Is(err, fault.NotFound) {
		return a.somePod(ctx, by, r)
	}
	if err != nil {
		return nil, err
	}
	if err := a.filling(ctx, id); err != nil {
		return nil, err
	}
	if err := a.nearServer(ctx, by, r, podName, id, "attachment.instance_uuid"); err != nil {
		return nil, err
	}
	return a.createAt(ctx, by, r, attachments, podName)
}

// noteImage tells the index of an image that a volume's pod has begun to make.
func (a *api) noteImage(ctx context.Context, by identity.Caller, podName, id string) {
	if id == "" {
		return
	}
	ctx = context.WithoutCancel(ctx)
	err := a.Store.ExpectImage(ctx, store.Image{ID: id, ProjectID: by.ProjectID, Home: podName, Status: "queued"})
	if err != nil { // it is found when it is first asked for
		a.Dispatch.Log.WarnContext(ctx, "cannot record the image of a volume", "image", id, "pod", podName, "error", err)
	}
}
