package nova

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// fields are what POST /servers takes, each with the microversion that brought
// it.
var fields = map[string]int{
	"name": 1, "imageRef": 1, "flavorRef": 1, "adminPass": 1, "metadata": 1, "networks": 1, "OS-DCF:diskConfig": 1, "accessIPv4": 1,
	"accessIPv6": 1, "personality": 1, "availability_zone": 1, "block_device_mapping": 1, "block_device_mapping_v2": 1,
	"config_drive": 1, "key_name": 1, "min_count": 1, "max_count": 1, "return_reservation_id": 1, "security_groups": 1,
	"user_data": 1, "description": 19, "tags": 52, "trusted_image_certificates": 63, "host": 74, "hypervisor_hostname": 74,
	"hostname": 90,
}

// asked is what a request for servers comes to.
type asked struct {
	in       rest.Doc
	name     string
	image    string
	flavor   *Flavor
	zone     string
	host     string // forced by an admin
	min, max int
	nics     []nic
	groups   []rest.Doc // of Neutron
	names    []string   // of the groups
	group    *serverGroup
}

// nic is one network to plug in: a port that is there, or one to make.
type nic struct {
	port    rest.Doc
	network string
	address string
}

func onlyKnown(what string, in rest.Doc, known []string) error {
	for _, name := range sortedKeys(in) {
		if !slices.Contains(known, name) {
			return field(what, in, fmt.Sprintf("Additional properties are not allowed ('%s' was unexpected)", name))
		}
	}
	return nil
}

func sortedKeys(in rest.Doc) []string {
	out := []string{}
	for k := range in {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func checkName(v any) error {
	name, ok := v.(string)
	switch {
	case !ok:
		return field("name", v, rest.Text(v)+" is not of type 'string'")
	case name == "":
		return field("name", v, "'' is too short")
	case len(name) > 255:
		return field("name", v, fmt.Sprintf("'%s' is too long", name))
	}
	return nil
}

func (s *Server) createServer(r *rest.Request) (*rest.Reply, error) {
	in, whole, err := body(r, "server")
	if err != nil {
		return nil, err
	}
	a, err := s.parse(r, in, whole)
	if err != nil {
		return nil, err
	}
	made := s.launch(r, a)
	if v, ok := in["return_reservation_id"].(bool); ok && v {
		return rest.Accepted(rest.Doc{"reservation_id": made[0].reservation})
	}
	first := made[0]
	groups := []rest.Doc{}
	for _, name := range a.names {
		groups = append(groups, rest.Doc{"name": name})
	}
	return &rest.Reply{
		Status: http.StatusAccepted,
		Header: http.Header{"Location": {base(r) + "/servers/" + first.id}},
		Body: rest.Doc{"server": rest.Doc{
			"id": first.id, "links": links(r, "servers/"+first.id), "OS-DCF:diskConfig": first.diskConfig,
			"security_groups": groups, "adminPass": first.adminPass,
		}},
	}, nil
}

// parse checks a request in Nova's order: the schema, then what it refers to.
func (s *Server) parse(r *rest.Request, in, whole rest.Doc) (*asked, error) {
	if err := schema(r, in); err != nil {
		return nil, err
	}
	a := &asked{in: in, name: strings.TrimSpace(rest.Str(in, "name")), image: rest.Str(in, "imageRef"), zone: rest.Str(in, "availability_zone"), min: 1, max: 1}
	steps := []func(*rest.Request, *asked) error{s.askedCount, s.askedZone, s.askedNetworks, s.askedFlavor, s.askedImage, s.askedVolumes, s.askedKey, s.askedGroups, s.askedQuota}
	for _, step := range steps {
		if err := step(r, a); err != nil {
			return nil, err
		}
	}
	hints, _ := whole["os:scheduler_hints"].(rest.Doc)
	if hints == nil {
		hints, _ = whole["OS-SCH-HNT:scheduler_hints"].(rest.Doc)
	}
	if id := rest.Str(hints, "group"); id != "" {
		if err := s.askedServerGroup(r, a, id); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (s *Server) askedServerGroup(r *rest.Request, a *asked, id string) error {
	if uuid.Validate(id) != nil {
		return field("group", id, fmt.Sprintf("'%s' is not a 'uuid'", id))
	}
	if a.group = s.serverGroup(r.Caller, id); a.group == nil {
		return badRequest("Instance group %s could not be found.", id)
	}
	if most := s.limitsOf(r.Caller.ProjectID)["server_group_members"]; most >= 0 && len(s.members(a.group, r.Caller.UserID))+a.max > most {
		return fail(http.StatusForbidden, "Quota exceeded, too many servers in group")
	}
	return nil
}

func schema(r *rest.Request, in rest.Doc) error {
	known := []string{}
	for name, since := range fields {
		if r.Minor >= since && (name != "personality" || r.Minor < 57) {
			known = append(known, name)
		}
	}
	for _, name := range []string{"name", "flavorRef"} {
		if _, ok := in[name]; !ok {
			return field("server", in, fmt.Sprintf("'%s' is a required property", name))
		}
	}
	if _, ok := in["networks"]; !ok && r.Minor >= 37 {
		return field("server", in, "'networks' is a required property")
	}
	if err := onlyKnown("server", in, known); err != nil {
		return err
	}
	if err := checkName(in["name"]); err != nil {
		return err
	}
	if m, ok := in["metadata"]; ok {
		return checkMetadata(m)
	}
	return nil
}

func (s *Server) askedCount(_ *rest.Request, a *asked) error {
	read := func(name string, to *int) error {
		v, ok := a.in[name]
		if !ok {
			return nil
		}
		n, err := strconv.Atoi(rest.Text(v))
		if err != nil || n < 1 {
			return field(name, v, rest.Text(v)+" is less than the minimum of 1")
		}
		*to = n
		return nil
	}
	if err := read("min_count", &a.min); err != nil {
		return err
	}
	a.max = a.min
	if err := read("max_count", &a.max); err != nil {
		return err
	}
	if a.min > a.max {
		return badRequest("min_count must be <= max_count")
	}
	return nil
}

func (s *Server) askedZone(r *rest.Request, a *asked) error {
	zone, host, forced := strings.Cut(a.zone, ":")
	if forced && !r.Caller.Admin() {
		return denied("os_compute_api:servers:create:forced_host")
	}
	if zone != "" && !slices.Contains(s.zones(), zone) {
		return badRequest("The requested availability zone is not available")
	}
	if forced && !slices.Contains(s.hosts, host) {
		return badRequest("Compute host %s could not be found.", host)
	}
	a.zone, a.host = zone, host
	return nil
}

func (s *Server) askedFlavor(r *rest.Request, a *asked) error {
	ref := rest.Text(a.in["flavorRef"])
	ref = ref[strings.LastIndex(ref, "/")+1:]
	if a.flavor = s.flavor(r.Caller, ref); a.flavor == nil {
		return badRequest("Flavor %s could not be found.", ref)
	}
	return nil
}

func (s *Server) askedImage(r *rest.Request, a *asked) error {
	if a.image == "" {
		if a.in["block_device_mapping_v2"] == nil && a.in["block_device_mapping"] == nil {
			return badRequest("Missing imageRef attribute")
		}
		return nil
	}
	if _, err := uuid.Parse(a.image); err != nil {
		return field("imageRef", a.image, fmt.Sprintf("'%s' is not valid under any of the given schemas", a.image))
	}
	status, found := s.Images.Status(r.Caller, a.image)
	if !found {
		return badRequest("Can not find requested image")
	}
	if status != "active" {
		return badRequest("Image %s is not active.", a.image)
	}
	return nil
}

func (s *Server) askedKey(r *rest.Request, a *asked) error {
	if name := rest.Str(a.in, "key_name"); name != "" && s.keypair(r.Caller.UserID, name) == nil {
		return badRequest("Invalid key_name provided.")
	}
	return nil
}

func (s *Server) askedGroups(r *rest.Request, a *asked) error {
	refs := rest.Docs(a.in, "security_groups")
	if len(refs) == 0 {
		refs = []rest.Doc{{"name": "default"}}
	}
	for _, ref := range refs {
		name := rest.Str(ref, "name")
		g := s.Network.FindGroup(r.Caller, name)
		if g == nil {
			return badRequest("Unable to find security_group with name or id '%s'", name)
		}
		a.groups, a.names = append(a.groups, g), append(a.names, name)
	}
	return nil
}

// askedNetworks resolves "networks": nothing, "auto", "none", or a list.
func (s *Server) askedNetworks(r *rest.Request, a *asked) error {
	switch v := a.in["networks"].(type) {
	case nil:
		return s.anyNetwork(r, a, false)
	case string:
		if r.Minor < 37 || (v != "auto" && v != "none") {
			return field("networks", v, fmt.Sprintf("'%s' is not valid under any of the given schemas", v))
		}
		if v == "none" {
			return nil
		}
		return s.anyNetwork(r, a, true)
	case []any:
		if len(v) == 0 {
			return s.anyNetwork(r, a, false)
		}
		for _, item := range v {
			in, _ := item.(rest.Doc)
			n, err := s.askedNIC(r, in, a)
			if err != nil {
				return err
			}
			a.nics = append(a.nics, n)
		}
		return nil
	}
	return field("networks", a.in["networks"], "is not valid under any of the given schemas")
}

func (s *Server) anyNetwork(r *rest.Request, a *asked, required bool) error {
	found := s.Network.OwnNetworks(r.Caller.ProjectID)
	switch {
	case len(found) > 1:
		return fail(http.StatusConflict, "Multiple possible networks found, use a Network ID to be more specific.")
	case len(found) == 1:
		a.nics = []nic{{network: rest.Str(found[0], "id")}}
	case required:
		return badRequest("No networks are available for automatic allocation.")
	}
	return nil
}

func (s *Server) askedNIC(r *rest.Request, in rest.Doc, a *asked) (nic, error) {
	if id := rest.Str(in, "port"); id != "" {
		port := s.Network.Port(r.Caller, id)
		if port == nil {
			return nic{}, badRequest("Port id %s could not be found.", id)
		}
		if a.max > 1 {
			return nic{}, badRequest("Failed to launch instances: Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.")
		}
		if rest.Str(port, "device_id") != "" {
			return nic{}, fail(http.StatusConflict, "Port %s is still in use.", id)
		}
		if len(rest.Docs(port, "fixed_ips")) == 0 {
			return nic{}, badRequest("Port %s requires a FixedIP in order to be used.", id)
		}
		return nic{port: port, network: rest.Str(port, "network_id")}, nil
	}
	id, address := rest.Str(in, "uuid"), rest.Str(in, "fixed_ip")
	network := s.Network.Network(r.Caller, id)
	if network == nil {
		return nic{}, badRequest("Network %s could not be found.", id)
	}
	if address != "" {
		if _, err := netip.ParseAddr(address); err != nil {
			return nic{}, field("fixed_ip", address, fmt.Sprintf("'%s' is not valid under any of the given schemas", address))
		}
		if a.max > 1 {
			return nic{}, badRequest("Invalid fixed IP Address %s in server create request: multiple servers.", address)
		}
		if s.Network.AddressTaken(id, address) {
			return nic{}, badRequest("Fixed IP address %s is already in use on instance .", address)
		}
	}
	if !s.Network.HasSubnets(id) {
		return nic{}, badRequest("Network %s requires a subnet in order to boot instances on.", id)
	}
	return nic{network: id, address: address}, nil
}

// launch makes the servers. Nova has accepted them by now: what fails later
// shows as ERROR.
func (s *Server) launch(r *rest.Request, a *asked) []*server {
	reservation := "r-" + strings.ToLower(rand.Text()[:8])
	made := []*server{}
	for i := range max(a.max, a.min) {
		v := s.fresh(r, a)
		v.reservation, v.launchIndex = reservation, i
		if a.max > 1 {
			v.name = fmt.Sprintf("%s-%d", a.name, i+1)
		}
		v.hostname = strings.ToLower(strings.ReplaceAll(v.name, " ", "-"))
		s.servers = append(s.servers, v)
		made = append(made, v)
		if err := s.plug(r, v, a); err != nil {
			v.status, v.vmState = "ERROR", "error"
			v.fault = rest.Doc{"code": 500, "created": seconds(v.created), "message": fmt.Sprintf("Build of instance %s aborted: Failed to allocate the network(s), not rescheduling.", v.id)}
			s.release(v)
			continue
		}
		s.attachBootVolumes(v, a.in)
		if a.group != nil {
			v.serverGroup = a.group.id
		}
		if v.building <= 0 {
			s.finish(v)
		}
	}
	return made
}

func (s *Server) fresh(r *rest.Request, a *asked) *server {
	s.sequence++
	now := s.Now()
	v := &server{
		id: uuid.NewString(), name: a.name, number: s.sequence, project: r.Caller.ProjectID, user: r.Caller.UserID,
		created: now, updated: now, status: "BUILD", vmState: "building", task: "scheduling", building: s.BuildGets,
		metadata: map[string]string{}, tags: append([]string{}, rest.Strings(a.in, "tags")...), image: a.image, flavor: *a.flavor,
		key: rest.Str(a.in, "key_name"), zone: a.zone, host: a.host, userData: rest.Str(a.in, "user_data"), adminPass: rest.Str(a.in, "adminPass"),
		diskConfig: "MANUAL", groups: a.names, accessIPv4: rest.Str(a.in, "accessIPv4"), accessIPv6: rest.Str(a.in, "accessIPv6"),
		blockDevices: a.in["block_device_mapping_v2"],
	}
	if r.Minor >= 19 {
		v.description = a.in["description"]
	} else {
		v.description = a.name
	}
	if c := a.in["OS-DCF:diskConfig"]; c != nil {
		v.diskConfig = rest.Text(c)
	}
	if c, ok := a.in["config_drive"].(bool); ok && c {
		v.configDrive = "True"
	}
	if v.adminPass == "" {
		v.adminPass = rand.Text()[:12]
	}
	in, _ := a.in["metadata"].(rest.Doc)
	for k, val := range in {
		v.metadata[k] = rest.Text(val)
	}
	v.act(r, "create")
	return v
}

// plug gives the server its ports: those asked for, and new ones.
func (s *Server) plug(r *rest.Request, v *server, a *asked) error {
	for _, n := range a.nics {
		port := n.port
		if port != nil && port["project_id"] != v.project {
			return fail(http.StatusBadRequest, "Port %s not usable for instance %s.", port["id"], v.id)
		}
		if port == nil {
			groups := []any{}
			for _, g := range a.groups {
				groups = append(groups, g["id"])
			}
			in := rest.Doc{"network_id": n.network, "security_groups": groups, "project_id": v.project, "device_id": v.id}
			if n.address != "" {
				in["fixed_ips"] = []any{rest.Doc{"ip_address": n.address}}
			}
			made, err := s.Network.CreatePort(r.Caller, in)
			if err != nil {
				return err
			}
			port = made
			v.ownPorts = append(v.ownPorts, rest.Str(made, "id"))
		}
		v.ports = append(v.ports, rest.Str(port, "id"))
		s.Network.Attach(port, v.id, s.Zone)
	}
	return nil
}
