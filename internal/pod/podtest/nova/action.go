package nova

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// move is an action that changes the state: from which, to which. Status and
// vmState stay where to is empty.
type move struct {
	name    string // as in "Cannot 'stop' instance …"
	from    []string
	status  string
	vmState string
	power   int
	admin   string // policy, when only an admin may
}

var moves = map[string]move{
	"os-stop":       {name: "stop", from: []string{"active", "error"}, status: "SHUTOFF", vmState: "stopped", power: 4},
	"os-start":      {name: "start", from: []string{"stopped"}, status: "ACTIVE", vmState: "active", power: 1},
	"pause":         {name: "pause", from: []string{"active"}, status: "PAUSED", vmState: "paused", power: 3},
	"unpause":       {name: "unpause", from: []string{"paused"}, status: "ACTIVE", vmState: "active", power: 1},
	"suspend":       {name: "suspend", from: []string{"active"}, status: "SUSPENDED", vmState: "suspended", power: 4},
	"resume":        {name: "resume", from: []string{"suspended"}, status: "ACTIVE", vmState: "active", power: 1},
	"shelve":        {name: "shelve", from: []string{"active", "stopped", "paused", "suspended"}, status: "SHELVED_OFFLOADED", vmState: "shelved_offloaded", power: 4},
	"shelveOffload": {name: "shelve_offload", from: []string{"shelved"}, status: "SHELVED_OFFLOADED", vmState: "shelved_offloaded", power: 4, admin: "os_compute_api:os-shelve:shelve_offload"},
	"unshelve":      {name: "unshelve", from: []string{"shelved", "shelved_offloaded"}, status: "ACTIVE", vmState: "active", power: 1},
	"rescue":        {name: "rescue", from: []string{"active", "stopped", "error"}, status: "RESCUE", vmState: "rescued", power: 1},
	"unrescue":      {name: "unrescue", from: []string{"rescued"}, status: "ACTIVE", vmState: "active", power: 1},
	"confirmResize": {name: "confirmResize", from: []string{"resized"}, status: "ACTIVE", vmState: "active", power: 1},
	"revertResize":  {name: "revertResize", from: []string{"resized"}, status: "ACTIVE", vmState: "active", power: 1},
	"migrate":       {name: "migrate", from: []string{"active", "stopped"}, admin: "os_compute_api:os-migrate-server:migrate"},
	"os-migrateLive": {
		name: "os-migrateLive", from: []string{"active", "paused"}, admin: "os_compute_api:os-migrate-server:migrate_live",
	},
}

// needObject are actions whose value must be an object.
var needObject = []string{"reboot", "resize", "rebuild", "createImage", "changePassword", "os-getConsoleOutput", "os-getVNCConsole", "os-resetState"}

func (s *Server) actOnServer(r *rest.Request) (*rest.Reply, error) {
	doc, err := r.JSON()
	if err != nil || len(doc) != 1 {
		return nil, badRequest("Malformed request body")
	}
	name := sortedKeys(doc)[0]
	in, isObject := doc[name].(rest.Doc)
	if !isObject && slices.Contains(needObject, name) {
		return nil, field(name, nil, "None is not of type 'object'")
	}
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		known := slices.ContainsFunc(s.servers, func(o *server) bool { return o.id == r.Param("id") })
		if !known && (name == "os-start" || name == "os-stop") { // these two look elsewhere first
			return nil, fail(http.StatusNotFound, "Instance %s has no mapping to a cell.", r.Param("id"))
		}
		return nil, err
	}
	if m, ok := moves[name]; ok {
		return s.move(r, v, m)
	}
	other := map[string]func(*rest.Request, *server, rest.Doc) (*rest.Reply, error){
		"reboot": s.reboot, "resize": s.resize, "rebuild": s.rebuild, "lock": s.lock, "unlock": s.unlock,
		"os-resetState": s.resetState, "changePassword": s.changePassword, "createImage": s.createImage,
		"addSecurityGroup": s.addGroup, "removeSecurityGroup": s.removeGroup, "os-getConsoleOutput": s.consoleOutput,
		"os-getVNCConsole": s.vncConsole, "forceDelete": s.forceDelete,
	}
	act, ok := other[name]
	if !ok {
		return nil, badRequest("There is no such action: %s", name)
	}
	return act(r, v, in)
}

// allow refuses an action in the wrong state.
func allow(r *rest.Request, v *server, name string, from []string) error {
	if v.locked && !r.Caller.Admin() {
		return fail(http.StatusConflict, "Instance %s is locked", v.id)
	}
	if v.status == "BUILD" && !v.placed {
		return fail(http.StatusConflict, "Instance %s is not ready", v.id)
	}
	if !slices.Contains(from, v.vmState) {
		return fail(http.StatusConflict, "Cannot '%s' instance %s while it is in vm_state %s", name, v.id, v.vmState)
	}
	return nil
}

func (s *Server) done(r *rest.Request, v *server, action string) (*rest.Reply, error) {
	v.updated = s.Now()
	v.act(r, action)
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) move(r *rest.Request, v *server, m move) (*rest.Reply, error) {
	if m.admin != "" && !r.Caller.Admin() {
		return nil, denied(m.admin)
	}
	if err := allow(r, v, m.name, m.from); err != nil {
		return nil, err
	}
	if m.name == "revertResize" {
		v.flavor = v.oldFlavor
	}
	if m.status != "" {
		v.status, v.vmState, v.power, v.fault = m.status, m.vmState, m.power, nil
	}
	return s.done(r, v, m.name)
}

func (s *Server) reboot(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	kind := rest.Str(in, "type")
	from := []string{"active"}
	switch strings.ToUpper(kind) {
	case "HARD":
		from = []string{"active", "stopped", "paused", "suspended", "error"}
	case "SOFT":
	default:
		return nil, field("type", kind, fmt.Sprintf("'%s' is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']", kind))
	}
	if err := allow(r, v, "reboot", from); err != nil {
		return nil, err
	}
	v.status, v.vmState, v.power = "ACTIVE", "active", 1
	return s.done(r, v, "reboot")
}

func (s *Server) resize(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	f := s.flavor(r.Caller, rest.Str(in, "flavorRef"))
	if f == nil {
		return nil, badRequest("Flavor %s could not be found.", rest.Str(in, "flavorRef"))
	}
	if f.ID == v.flavor.ID {
		return nil, badRequest("When resizing, instances must change flavor!")
	}
	if err := allow(r, v, "resize", []string{"active", "stopped"}); err != nil {
		return nil, err
	}
	more := map[string]int{"cores": max(0, f.VCPUs-v.flavor.VCPUs), "ram": max(0, f.RAM-v.flavor.RAM)}
	if e := s.exceeded(v.project, more, ""); e != nil {
		return nil, e
	}
	v.flavor, v.oldFlavor = *f, v.flavor
	v.status, v.vmState = "VERIFY_RESIZE", "resized"
	m := s.migrated(v.id, v.host, "resize", s.Now())
	m.user, m.project = r.Caller.UserID, r.Caller.ProjectID
	return s.done(r, v, "resize")
}

func (s *Server) rebuild(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	image := rest.Str(in, "imageRef")
	if _, found := s.Images.Status(r.Caller, image); !found {
		return nil, badRequest("Cannot find image for rebuild")
	}
	if err := allow(r, v, "rebuild", []string{"active", "stopped", "error"}); err != nil {
		return nil, err
	}
	v.image = image
	if name := rest.Str(in, "name"); name != "" {
		v.name = name
	}
	v.status, v.vmState, v.power, v.fault = "ACTIVE", "active", 1, nil
	v.updated = s.Now()
	v.act(r, "rebuild")
	return rest.Accepted(rest.Doc{"server": s.view(r, v, false)})
}

func (s *Server) lock(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	v.locked, v.lockedReason = true, in["locked_reason"]
	return s.done(r, v, "lock")
}

func (s *Server) unlock(r *rest.Request, v *server, _ rest.Doc) (*rest.Reply, error) {
	v.locked, v.lockedReason = false, nil
	return s.done(r, v, "unlock")
}

func (s *Server) resetState(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-admin-actions:reset_state")
	}
	switch rest.Str(in, "state") {
	case "error":
		v.status, v.vmState = "ERROR", "error"
	case "active":
		v.status, v.vmState = "ACTIVE", "active"
	default:
		return nil, field("state", in["state"], "is not one of ['active', 'error']")
	}
	return s.done(r, v, "resetState")
}

func (s *Server) changePassword(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	if err := allow(r, v, "changePassword", []string{"active"}); err != nil {
		return nil, err
	}
	v.adminPass = rest.Str(in, "adminPass")
	return s.done(r, v, "changePassword")
}

// createImage makes the record only: no data is uploaded.
func (s *Server) createImage(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	if err := allow(r, v, "createImage", []string{"active", "stopped", "paused", "suspended"}); err != nil {
		return nil, err
	}
	id := s.Images.Snapshot(r.Caller, rest.Str(in, "name"))
	v.act(r, "createImage")
	if r.Minor >= 45 {
		return rest.Accepted(rest.Doc{"image_id": id})
	}
	return &rest.Reply{Status: http.StatusAccepted, Header: http.Header{"Location": {r.Root() + "/images/" + id}}}, nil
}

func (s *Server) changeGroups(r *rest.Request, v *server, in rest.Doc, change func(list []string, id string) []any) error {
	g := s.Network.FindGroup(r.Caller, rest.Str(in, "name"))
	if g == nil {
		return fail(http.StatusNotFound, "Security group %s not found.", rest.Str(in, "name"))
	}
	for _, p := range s.portsOf(v) {
		p["security_groups"] = toStrings(change(rest.Strings(p, "security_groups"), rest.Str(g, "id")))
	}
	v.groups = nil
	for _, p := range s.portsOf(v) {
		for _, id := range rest.Strings(p, "security_groups") {
			if name := s.Network.GroupName(id); !slices.Contains(v.groups, name) {
				v.groups = append(v.groups, name)
			}
		}
	}
	return nil
}

func toStrings(list []any) []string {
	return rest.Strings(rest.Doc{"l": list}, "l")
}

func (s *Server) addGroup(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	err := s.changeGroups(r, v, in, func(list []string, id string) []any {
		out := []any{id}
		for _, have := range list {
			if have != id {
				out = append(out, have)
			}
		}
		return out
	})
	if err != nil {
		return nil, err
	}
	return s.done(r, v, "addSecurityGroup")
}

func (s *Server) removeGroup(r *rest.Request, v *server, in rest.Doc) (*rest.Reply, error) {
	err := s.changeGroups(r, v, in, func(list []string, id string) []any {
		out := []any{}
		for _, have := range list {
			if have != id {
				out = append(out, have)
			}
		}
		return out
	})
	if err != nil {
		return nil, err
	}
	return s.done(r, v, "removeSecurityGroup")
}

func (s *Server) forceDelete(_ *rest.Request, v *server, _ rest.Doc) (*rest.Reply, error) {
	s.remove(v)
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) consoleOutput(*rest.Request, *server, rest.Doc) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"output": "FAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE"})
}

func consoleURL() string {
	return "http://127.0.0.1:6080/vnc_lite.html?path=%3Ftoken%3D" + uuid.NewString()
}

func (s *Server) vncConsole(_ *rest.Request, _ *server, in rest.Doc) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"console": rest.Doc{"type": rest.Str(in, "type"), "url": consoleURL()}})
}

func (s *Server) createConsole(r *rest.Request) (*rest.Reply, error) {
	if r.Minor < 6 {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	in, _, err := body(r, "remote_console")
	if err != nil {
		return nil, err
	}
	if _, err := s.find(r, r.Param("id")); err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"remote_console": rest.Doc{"protocol": in["protocol"], "type": in["type"], "url": consoleURL()}})
}

// act notes an action for os-instance-actions.
func (v *server) act(r *rest.Request, name string) {
	at := v.updated
	v.actions = append([]rest.Doc{{
		"action": name, "instance_uuid": v.id, "request_id": r.ID, "user_id": r.Caller.UserID, "project_id": r.Caller.ProjectID,
		"start_time": micros(at), "updated_at": micros(at), "message": nil,
	}}, v.actions...)
}

func actionView(r *rest.Request, action rest.Doc) rest.Doc {
	d := maps.Clone(action)
	if r.Minor < 58 {
		delete(d, "updated_at")
	}
	return d
}

// acted finds the server, from 2.21 on also when it has been deleted.
func (s *Server) acted(r *rest.Request) (*server, error) {
	for _, v := range s.deleted {
		if r.Minor >= 21 && v.id == r.Param("id") && r.Caller.Sees(v.project) {
			return v, nil
		}
	}
	return s.find(r, r.Param("id"))
}

func (s *Server) listActions(r *rest.Request) (*rest.Reply, error) {
	v, err := s.acted(r)
	if err != nil {
		return nil, err
	}
	list := []rest.Doc{}
	for _, a := range v.actions {
		list = append(list, actionView(r, a))
	}
	return rest.OK(rest.Doc{"instanceActions": list})
}

func (s *Server) showAction(r *rest.Request) (*rest.Reply, error) {
	v, err := s.acted(r)
	if err != nil {
		return nil, err
	}
	for _, a := range v.actions {
		if a["request_id"] == r.Param("request") {
			return rest.OK(rest.Doc{"instanceAction": actionView(r, a)})
		}
	}
	return nil, fail(http.StatusNotFound, "Action for request_id %s on instance %s not found", r.Param("request"), v.id)
}
