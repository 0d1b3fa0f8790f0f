package cinder

import (
	"maps"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// act is one action on a volume. A nil reply is Cinder's usual 202.
type act func(s *Server, r *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error)

var adminActs = []string{"os-reset_status", "os-force_delete", "os-force_detach", "os-migrate_volume", "os-migrate_volume_completion", "os-unmanage"}

// acts are what "POST /volumes/{id}/action" knows.
var acts = map[string]act{
	"os-extend": (*Server).extend,
	"os-set_bootable": func(_ *Server, _ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
		v.bootable = rest.Bool(in, "bootable")
		return &rest.Reply{Status: http.StatusOK}, nil
	},
	"os-reset_status": func(_ *Server, _ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
		if status := rest.Str(in, "status"); status != "" {
			v.status, v.then = status, ""
		}
		return nil, nil //nolint:nilnil // the usual reply
	},
	"os-force_delete": func(s *Server, _ *rest.Request, v *volume, _ rest.Doc) (*rest.Reply, error) {
		s.Remove(v.id)
		return nil, nil //nolint:nilnil // the usual reply
	},
	"os-unmanage": func(s *Server, _ *rest.Request, v *volume, _ rest.Doc) (*rest.Reply, error) {
		s.unmanaged = append(s.unmanaged, v)
		s.Remove(v.id)
		return nil, nil //nolint:nilnil // the usual reply
	},
	"os-reserve":         shift("available", "attaching", "Invalid volume: Volume status must be available to reserve, but the status is %s."),
	"os-unreserve":       shift("attaching", "available", ""),
	"os-begin_detaching": shift("in-use", "detaching", "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach."),
	"os-roll_detaching":  shift("detaching", "in-use", ""),
	"os-attach": func(s *Server, _ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
		if v.status == "attaching" {
			v.status = "available"
		}
		if !s.Attach(v.id, rest.Str(in, "instance_uuid"), rest.Str(in, "mountpoint")) {
			return nil, badRequest("Invalid volume: status must be available or attaching")
		}
		return nil, nil //nolint:nilnil // the usual reply
	},
	"os-detach":                detach,
	"os-force_detach":          detach,
	"os-initialize_connection": (*Server).connect,
	"os-terminate_connection":  shift("", "", ""),
	"os-update_readonly_flag": func(_ *Server, _ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
		v.readonly = rest.Bool(in, "readonly")
		return nil, nil //nolint:nilnil // the usual reply
	},
	"os-set_image_metadata": func(_ *Server, _ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
		if v.imageMeta == nil {
			v.imageMeta = rest.Doc{}
		}
		more, _ := in["metadata"].(rest.Doc)
		maps.Copy(v.imageMeta, more)
		return rest.OK(rest.Doc{"metadata": maps.Clone(v.imageMeta)})
	},
	"os-show_image_metadata": func(_ *Server, _ *rest.Request, v *volume, _ rest.Doc) (*rest.Reply, error) {
		m := rest.Doc{}
		maps.Copy(m, v.imageMeta)
		return rest.OK(rest.Doc{"metadata": m})
	},
	"os-unset_image_metadata": func(_ *Server, _ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
		if _, ok := v.imageMeta[rest.Str(in, "key")]; !ok {
			return nil, fail(http.StatusNotFound, "Metadata does not exist.")
		}
		delete(v.imageMeta, rest.Str(in, "key"))
		return &rest.Reply{Status: http.StatusOK}, nil
	},
	"os-volume_upload_image": (*Server).uploadImage,
	"os-reimage":             (*Server).reimage,
	"os-retype":              (*Server).retype,
	"os-migrate_volume": func(_ *Server, _ *rest.Request, _ *volume, in rest.Doc) (*rest.Reply, error) {
		if rest.Str(in, "host") != backend {
			return nil, badRequest("Invalid host: No available service named '%s'", rest.Str(in, "host"))
		}
		return nil, badRequest("Invalid host: Destination host must be different than the current host.")
	},
	"revert": func(s *Server, r *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
		n, err := s.findSnapshot(r, rest.Str(in, "snapshot_id"))
		if err != nil || n.volume != v.id {
			return nil, badRequest("Specified snapshot %s is None or not the latest one of volume %s.", rest.Str(in, "snapshot_id"), v.id)
		}
		v.data = n.data
		return nil, nil //nolint:nilnil // the usual reply
	},
}

// shift takes a volume from one status to another, "" is any.
func shift(from, to, refusal string) act {
	return func(_ *Server, _ *rest.Request, v *volume, _ rest.Doc) (*rest.Reply, error) {
		if from != "" && v.status != from && refusal != "" {
			return nil, badRequest(refusal, v.status)
		}
		if to != "" && v.status == from {
			v.status = to
		}
		return nil, nil //nolint:nilnil // the usual reply
	}
}

func detach(s *Server, _ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
	id := rest.Str(in, "attachment_id")
	s.attachments = slices.DeleteFunc(s.attachments, func(a *attachment) bool { return a.volume == v.id && (id == "" || a.id == id) })
	s.settle(v)
	return nil, nil //nolint:nilnil // the usual reply
}

func (s *Server) actOnVolume(r *rest.Request) (*rest.Reply, error) {
	doc, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	for name, value := range doc {
		do, known := acts[name]
		if !known {
			return nil, badRequest("There is no such action: %s. Verify the request body and Content-Type header and try again.", name)
		}
		if name == "os-reimage" && r.Minor < 68 {
			return nil, fail(http.StatusNotFound, "The resource could not be found.")
		}
		v, err := s.find(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		if slices.Contains(adminActs, name) && !r.Caller.Admin() {
			return nil, fail(http.StatusForbidden, "Policy doesn't allow volume_extension:volume_admin_actions:%s to be performed.", name[len("os-"):])
		}
		in, _ := value.(rest.Doc)
		reply, err := do(s, r, v, in)
		if err != nil || reply != nil {
			return reply, err
		}
		v.updated = s.Now()
	}
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) extend(_ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
	n, _ := rest.Number(in["new_size"])
	if int(n) <= v.size {
		return nil, badRequest("Invalid input received: New size for extend must be greater than current size. (current: %d, extended: %d).", v.size, int(n))
	}
	v.size = int(n)
	return nil, nil //nolint:nilnil // the usual reply
}

func (s *Server) retype(_ *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
	t := s.volumeType(rest.Str(in, "new_type"))
	if t == nil {
		return nil, badRequest("Invalid volume type: Volume type %s could not be found.", rest.Str(in, "new_type"))
	}
	v.kind = rest.Str(t, "name")
	return nil, nil //nolint:nilnil // the usual reply
}

func (s *Server) connect(_ *rest.Request, v *volume, _ rest.Doc) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"connection_info": connection(v.id)})
}

func (s *Server) uploadImage(r *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
	if v.status != "available" && !rest.Bool(in, "force") {
		return nil, badRequest("Invalid volume: Volume %s status must be available for upload to image, but current status is: %s", v.id, v.status)
	}
	visibility := rest.Str(in, "visibility")
	if visibility == "" {
		visibility = "shared"
	}
	id := s.Images.Keep(glance.Image{
		Name: rest.Str(in, "image_name"), Owner: r.Caller.ProjectID, Visibility: visibility, DiskFormat: rest.Str(in, "disk_format"), Data: []byte(v.data),
	})
	return rest.Accepted(rest.Doc{"os-volume_upload_image": rest.Doc{
		"id": v.id, "updated_at": micros(v.updated), "status": "uploading", "display_description": v.description, "size": v.size, "volume_type": s.volumeType(v.kind),
		"image_id": id, "container_format": "bare", "disk_format": in["disk_format"], "image_name": in["image_name"], "visibility": visibility, "protected": false,
	}})
}

func (s *Server) reimage(r *rest.Request, v *volume, in rest.Doc) (*rest.Reply, error) {
	if v.status != "available" && v.status != "error" && !rest.Bool(in, "reimage_reserved") {
		return nil, fail(http.StatusConflict, "status must be available or error")
	}
	v.status = "downloading" // and so it stays when there is no such image
	data, ok := s.Images.Read(r.Caller, rest.Str(in, "image_id"))
	if !ok {
		return nil, fail(http.StatusNotFound, "Image %s could not be found.", rest.Str(in, "image_id"))
	}
	v.data, v.bootable, v.imageMeta, v.then = string(data), true, rest.Doc{"image_id": in["image_id"]}, "available"
	return nil, nil //nolint:nilnil // the usual reply
}
