package nova

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// askedVolumes wants the volumes, snapshots and images of block_device_mapping_v2 to be
// there for the caller.
func (s *Server) askedVolumes(r *rest.Request, a *asked) error {
	for _, b := range rest.Docs(a.in, "block_device_mapping_v2") {
		id := rest.Str(b, "uuid")
		switch rest.Str(b, "source_type") {
		case "volume":
			if _, found := s.Volumes.Status(r.Caller, id); !found {
				return badRequest("Volume %s could not be found.", id)
			}
		case "snapshot":
			if !s.Volumes.HasSnapshot(r.Caller, id) {
				return badRequest("Block Device Mapping is Invalid: failed to get snapshot %s.", id)
			}
		case "image":
			if status, found := s.Images.Status(r.Caller, id); !found || status != "active" {
				return badRequest("Block Device Mapping is Invalid: failed to get image %s.", id)
			}
		}
	}
	return nil
}

// attachBootVolumes attaches the volumes that block_device_mapping_v2 names, or wants
// to be made.
func (s *Server) attachBootVolumes(v *server, in rest.Doc) {
	for _, b := range rest.Docs(in, "block_device_mapping_v2") {
		id := rest.Str(b, "uuid")
		switch made := rest.Str(b, "destination_type") == "volume"; {
		case rest.Str(b, "source_type") == "volume":
		case made:
			size, _ := strconv.Atoi(rest.Text(b["volume_size"]))
			id = s.Volumes.Make(v.project, v.user, max(size, 1))
		default:
			continue
		}
		device := fmt.Sprintf("/dev/vd%c", 'a'+len(v.volumes))
		if s.Volumes.Attach(id, v.id, device) {
			v.volumes = append(v.volumes, attachment{volume: id, device: device, ends: rest.Bool(b, "delete_on_termination")})
		}
	}
}

func attachmentDoc(r *rest.Request, v *server, a attachment) rest.Doc {
	d := rest.Doc{"device": a.device, "serverId": v.id, "volumeId": a.volume}
	if r.Minor < 89 {
		d["id"] = a.volume
	}
	if r.Minor >= 70 {
		d["tag"] = nil
	}
	if r.Minor >= 79 {
		d["delete_on_termination"] = a.ends
	}
	return d
}

func (s *Server) listAttachments(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, a := range v.volumes {
		out = append(out, attachmentDoc(r, v, a))
	}
	return rest.OK(rest.Doc{"volumeAttachments": out})
}

func (s *Server) attachVolume(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "volumeAttachment")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	id := rest.Str(in, "volumeId")
	status, found := s.Volumes.Status(r.Caller, id)
	if !found {
		return nil, fail(http.StatusNotFound, "Volume %s could not be found.", id)
	}
	device := rest.Str(in, "device")
	if device == "" {
		device = fmt.Sprintf("/dev/vd%c", 'b'+len(v.volumes))
	}
	if !s.Volumes.Attach(id, v.id, device) {
		return nil, badRequest("Invalid volume: volume %s status must be 'available'. Currently in '%s' status", id, status)
	}
	a := attachment{volume: id, device: device, ends: rest.Bool(in, "delete_on_termination")}
	v.volumes = append(v.volumes, a)
	v.act(r, "attach_volume")
	return rest.OK(rest.Doc{"volumeAttachment": attachmentDoc(r, v, a)})
}

func (s *Server) attachmentOf(r *rest.Request) (*server, int, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, 0, err
	}
	at := slices.IndexFunc(v.volumes, func(a attachment) bool { return a.volume == r.Param("volume") })
	if at < 0 {
		return nil, 0, fail(http.StatusNotFound, "Instance %s is not attached to volume %s", v.id, r.Param("volume"))
	}
	return v, at, nil
}

func (s *Server) showAttachment(r *rest.Request) (*rest.Reply, error) {
	v, at, err := s.attachmentOf(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"volumeAttachment": attachmentDoc(r, v, v.volumes[at])})
}

func (s *Server) detachVolume(r *rest.Request) (*rest.Reply, error) {
	v, at, err := s.attachmentOf(r)
	if err != nil {
		return nil, err
	}
	s.Volumes.Detach(v.volumes[at].volume, v.id)
	v.volumes = slices.Delete(v.volumes, at, at+1)
	v.act(r, "detach_volume")
	return &rest.Reply{Status: http.StatusAccepted}, nil
}
