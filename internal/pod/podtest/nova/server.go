package nova

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// server is one instance.
type server struct {
	id, name, project, user string
	number, launchIndex     int
	description             any
	created, updated        time.Time
	launched                time.Time
	status, vmState         string
	task                    any
	power                   int
	fault                   rest.Doc
	metadata                map[string]string
	tags                    []string
	image                   string // empty: from a volume
	flavor, oldFlavor       Flavor
	key                     string
	zone                    string // asked for; empty: any
	host                    string // once it is placed, or forced
	placed                  bool
	userData, reservation   string
	configDrive             string
	hostname, adminPass     string
	diskConfig              string
	accessIPv4, accessIPv6  string
	locked                  bool
	lockedReason            any
	ownPorts                []string // made for it: they go with it
	ports                   []string // in the order asked for
	groups                  []string // names
	serverGroup             string
	volumes                 []attachment
	actions                 []rest.Doc
	blockDevices            any
	building, going         int // reads left
	deleting                bool
}

type attachment struct {
	volume, device string
	ends           bool // deleted with the server
}

// read notes that somebody looked: time goes on for servers in BUILD and those
// that are being deleted.
func (s *Server) read(v *server) {
	if v.deleting {
		if v.going--; v.going < 0 {
			s.remove(v)
		}
		return
	}
	if v.status == "BUILD" && !v.placed {
		if v.building--; v.building < 0 {
			s.finish(v)
		}
	}
}

// finish ends BUILD: ACTIVE, or ERROR when no host has room.
func (s *Server) finish(v *server) {
	now := s.Now()
	v.updated, v.task = now, nil
	if s.full(v) {
		v.status, v.vmState = "ERROR", "error"
		v.fault = rest.Doc{
			"code": http.StatusInternalServerError, "created": seconds(now),
			"message": "No valid host was found. There are not enough hosts available.",
		}
		s.release(v)
		return
	}
	if v.host == "" {
		v.host = s.hostIn(v.zone)
	}
	v.placed, v.status, v.vmState, v.power, v.launched = true, "ACTIVE", "active", 1, now
}

func (s *Server) full(v *server) bool {
	if !s.host.fits(v.flavor) {
		return true
	}
	if s.capacity < 0 {
		return false
	}
	n := 0
	for _, o := range s.servers {
		if o != v && o.placed {
			n++
		}
	}
	return n >= s.capacity
}

// release gives back what a server holds in Neutron and Cinder: ports made for
// it go, the others stay, unbound.
func (s *Server) release(v *server) {
	for _, id := range v.ports {
		if slices.Contains(v.ownPorts, id) {
			s.Network.DeletePort(id)
		} else {
			s.Network.Detach(id)
		}
	}
	v.ports, v.ownPorts = nil, nil
	for _, a := range v.volumes {
		s.Volumes.Detach(a.volume, v.id)
		if a.ends {
			s.Volumes.Remove(a.volume)
		}
	}
	v.volumes = nil
}

func (s *Server) remove(v *server) {
	s.release(v)
	s.servers = slices.DeleteFunc(s.servers, func(o *server) bool { return o == v })
	v.status, v.vmState, v.task, v.power, v.placed, v.updated = "DELETED", "deleted", nil, 0, false, s.Now()
	s.deleted = append(s.deleted, v)
}

// find finds a server that the caller may see.
func (s *Server) find(r *rest.Request, id string) (*server, error) {
	for _, v := range s.servers {
		if v.id == id && r.Caller.Sees(v.project) {
			return v, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Instance %s could not be found.", id)
}

// look finds the server of the path, and lets time go on for it.
func (s *Server) look(r *rest.Request) (*server, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	s.read(v)
	return s.find(r, r.Param("id"))
}

func (s *Server) showServer(r *rest.Request) (*rest.Reply, error) {
	v, err := s.look(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"server": s.view(r, v, true)})
}

// brief is a server in a list without details.
func brief(r *rest.Request, v *server) rest.Doc {
	return rest.Doc{"id": v.id, "name": v.name, "links": links(r, "servers/"+v.id)}
}

// view is a server in full. Extended is false in the reply to an update, which
// lacks the OS-EXT fields before 2.75.
func (s *Server) view(r *rest.Request, v *server, extended bool) rest.Doc {
	d := rest.Doc{
		"id": v.id, "name": v.name, "status": v.status, "tenant_id": v.project, "user_id": v.user,
		"metadata": maps.Clone(v.metadata), "hostId": "", "image": "", "flavor": s.flavorOf(r, v),
		"created": seconds(v.created), "updated": seconds(v.updated), "addresses": s.addresses(v, extended),
		"accessIPv4": v.accessIPv4, "accessIPv6": v.accessIPv6, "links": links(r, "servers/"+v.id),
		"OS-DCF:diskConfig": v.diskConfig,
	}
	if v.placed {
		d["hostId"] = fmt.Sprintf("%x", sha256.Sum224([]byte(v.project+v.host)))
	}
	if v.image != "" {
		d["image"] = rest.Doc{"id": v.image, "links": []rest.Doc{bookmark(r, "images/"+v.image)}}
	}
	if v.status == "ERROR" {
		if v.fault != nil {
			d["fault"] = v.fault
		}
	} else {
		d["progress"] = 0
	}
	s.viewByVersion(r, v, d)
	if extended || r.Minor >= 75 {
		s.viewExtended(r, v, d)
	}
	return d
}

// viewByVersion adds what came with microversions.
func (s *Server) viewByVersion(r *rest.Request, v *server, d rest.Doc) {
	since := func(minor int, name string, value any) {
		if r.Minor >= minor {
			d[name] = value
		}
	}
	since(9, "locked", v.locked)
	since(19, "description", v.description)
	since(26, "tags", append([]string{}, v.tags...))
	since(63, "trusted_image_certificates", nil)
	since(73, "locked_reason", v.lockedReason)
	if r.Minor >= 71 {
		groups := []string{}
		if v.serverGroup != "" {
			groups = append(groups, v.serverGroup)
		}
		d["server_groups"] = groups
	}
}

func (s *Server) viewExtended(r *rest.Request, v *server, d rest.Doc) {
	zone := ""
	switch {
	case v.placed:
		zone = s.zoneOf(v.host)
	case v.status == "BUILD":
		zone = v.zone
	}
	var key any
	if v.key != "" {
		key = v.key
	}
	volumes := []rest.Doc{}
	for _, a := range v.volumes {
		doc := rest.Doc{"id": a.volume}
		if r.Minor >= 3 {
			doc["delete_on_termination"] = a.ends
		}
		volumes = append(volumes, doc)
	}
	d["OS-EXT-AZ:availability_zone"] = zone
	d["config_drive"] = v.configDrive
	d["key_name"] = key
	d["OS-SRV-USG:launched_at"] = micros(v.launched)
	d["OS-SRV-USG:terminated_at"] = nil
	d["OS-EXT-STS:task_state"] = v.task
	d["OS-EXT-STS:vm_state"] = v.vmState
	d["OS-EXT-STS:power_state"] = v.power
	d["os-extended-volumes:volumes_attached"] = volumes
	if len(v.ports) > 0 && v.placed {
		groups := []rest.Doc{}
		for _, name := range v.groups {
			groups = append(groups, rest.Doc{"name": name})
		}
		d["security_groups"] = groups
	}
	if r.Minor >= 90 || (r.Minor >= 3 && r.Caller.Admin()) {
		d["OS-EXT-SRV-ATTR:hostname"] = v.hostname
	}
	if r.Caller.Admin() {
		s.viewAdmin(r, v, d)
	}
}

// viewAdmin adds what only admins see.
func (s *Server) viewAdmin(r *rest.Request, v *server, d rest.Doc) {
	var host any
	if v.placed {
		host = v.host
	}
	d["OS-EXT-SRV-ATTR:host"] = host
	d["OS-EXT-SRV-ATTR:hypervisor_hostname"] = host
	d["OS-EXT-SRV-ATTR:instance_name"] = fmt.Sprintf("instance-%08x", v.number)
	if r.Minor >= 3 {
		var data any
		if v.userData != "" {
			data = v.userData
		}
		d["OS-EXT-SRV-ATTR:reservation_id"] = v.reservation
		d["OS-EXT-SRV-ATTR:launch_index"] = v.launchIndex
		d["OS-EXT-SRV-ATTR:kernel_id"], d["OS-EXT-SRV-ATTR:ramdisk_id"] = "", ""
		d["OS-EXT-SRV-ATTR:root_device_name"] = "/dev/vda"
		d["OS-EXT-SRV-ATTR:user_data"] = data
	}
	if r.Minor >= 16 {
		d["host_status"] = map[bool]string{true: "UP", false: ""}[v.placed]
	}
}

// addresses are the server's addresses by the name of their network.
func (s *Server) addresses(v *server, extended bool) rest.Doc {
	out := rest.Doc{}
	if !v.placed {
		return out
	}
	for _, p := range s.portsOf(v) {
		name := s.Network.NetworkName(rest.Str(p, "network_id"))
		list, _ := out[name].([]rest.Doc)
		for _, ip := range rest.Docs(p, "fixed_ips") {
			addr := rest.Str(ip, "ip_address")
			doc := rest.Doc{"version": version(addr), "addr": addr}
			if extended {
				doc["OS-EXT-IPS:type"], doc["OS-EXT-IPS-MAC:mac_addr"] = "fixed", p["mac_address"]
			}
			list = append(list, doc)
		}
		out[name] = list
	}
	return out
}

// portsOf lists the ports that still are the server's: someone may have deleted
// one in Neutron.
func (s *Server) portsOf(v *server) []rest.Doc {
	out := []rest.Doc{}
	admin := rest.Caller{Roles: []string{"admin"}}
	for _, id := range v.ports {
		if p := s.Network.Port(admin, id); p != nil && p["device_id"] == v.id {
			out = append(out, p)
		}
	}
	return out
}

func version(addr string) int {
	for _, c := range addr {
		if c == ':' {
			return 6
		}
	}
	return 4
}

func (s *Server) updateServer(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "server")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	known := []string{"name", "OS-DCF:diskConfig", "accessIPv4", "accessIPv6"}
	if r.Minor >= 19 {
		known = append(known, "description")
	}
	if r.Minor >= 90 {
		known = append(known, "hostname")
	}
	if err := onlyKnown("server", in, known); err != nil {
		return nil, err
	}
	if name, ok := in["name"]; ok {
		if err := checkName(name); err != nil {
			return nil, err
		}
		v.name = rest.Str(in, "name")
	}
	if d, ok := in["description"]; ok {
		v.description = d
	}
	if a, ok := in["accessIPv4"].(string); ok {
		v.accessIPv4 = a
	}
	if a, ok := in["accessIPv6"].(string); ok {
		v.accessIPv6 = a
	}
	v.updated = s.Now()
	return rest.OK(rest.Doc{"server": s.view(r, v, false)})
}

func (s *Server) deleteServer(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if v.locked && !r.Caller.Admin() {
		return nil, fail(http.StatusConflict, "Instance %s is locked", v.id)
	}
	if !v.deleting {
		v.deleting, v.going, v.task = true, s.DeleteGets, "deleting"
	}
	if v.going <= 0 {
		s.remove(v)
	}
	return rest.NoContent()
}

// Inventory lists what users made, by kind. Mu must be held.
func (s *Server) Inventory() map[string][]string {
	out := map[string][]string{"aggregate": {}, "server": {}, "keypair": {}, "server_group": {}, "flavor": {}}
	for _, v := range s.servers {
		out["server"] = append(out["server"], v.id)
	}
	for _, k := range s.keypairs {
		out["keypair"] = append(out["keypair"], k.user+"/"+k.name)
	}
	for _, f := range s.flavors {
		out["flavor"] = append(out["flavor"], f.ID)
	}
	for _, g := range s.groups {
		out["server_group"] = append(out["server_group"], g.id)
	}
	for _, g := range s.aggregates {
		out["aggregate"] = append(out["aggregate"], g.name)
	}
	for kind := range out {
		slices.Sort(out[kind])
	}
	return out
}
