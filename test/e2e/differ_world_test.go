//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
)

// World is a place where the same things exist: a pod, or the region over it.
type World struct {
	*Tenant
	name, zone string
	api        API
	client     *gophercloud.ServiceClient // of the API
	admin      *Tenant
	tokens     map[string]string // by who asks
	things     map[string]string // by placeholder
}

// publicKey is the same in both worlds, so that fingerprints are.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM+A7y+JsE1QcuLOITPpsD5/s+VJFPyqDx0PeCarcuqw differ"

// newWorld makes a project of its own, and one of a stranger.
func newWorld(t *testing.T, api API, name, zone, in string) *World {
	t.Helper()
	user := fmt.Sprintf("differ-%s-%d", name, time.Now().UnixNano())
	newProject(t, user)
	newProject(t, user+"-stranger")
	w := &World{Tenant: loginTo(t, user, in), name: name, zone: zone, api: api, admin: loginTo(t, "admin", in)}
	stranger := loginTo(t, user+"-stranger", in)
	leftInPods(t, w.Project)
	leftInPods(t, stranger.Project)
	w.client = api.client(w.Tenant)
	w.tokens = map[string]string{
		"member": w.Compute.Token(), "stranger": stranger.Compute.Token(), "admin": w.admin.Compute.Token(),
	}
	w.things = map[string]string{
		"nobody": "11111111-2222-4333-8444-555555555555", "project": w.Project, "key": "differ", "keydata": publicKey,
		"admin_project": w.admin.Project, "strangers": stranger.Project, "zone": zone, "world": user,
	}
	return w
}

// newProject makes a project and a user of the same name, a member of it.
func newProject(t *testing.T, name string) {
	t.Helper()
	provider := must(authenticate(live(t), "admin"))(t)
	keystone := must(openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{Region: "RegionOne"}))(t)
	project := must(projects.Create(live(t), keystone, projects.CreateOpts{Name: name}).Extract())(t)
	t.Cleanup(func() { must(0, projects.Delete(live(t), keystone, project.ID).ExtractErr())(t) })
	user := must(users.Create(live(t), keystone, users.CreateOpts{Name: name, Password: "secret", DomainID: "default"}).Extract())(t)
	t.Cleanup(func() { must(0, users.Delete(live(t), keystone, user.ID).ExtractErr())(t) })
	pages := must(roles.List(keystone, roles.ListOpts{Name: "member"}).AllPages(live(t)))(t)
	member := must(roles.ExtractRoles(pages))(t)
	must(0, roles.Assign(live(t), keystone, member[0].ID, roles.AssignOpts{UserID: user.ID, ProjectID: project.ID}).ExtractErr())(t)
}

// leftInPods takes away, at the end, the default security group that each pod's
// Neutron makes for a project.
func leftInPods(t *testing.T, project string) {
	t.Helper()
	t.Cleanup(func() {
		for _, p := range pods(t) {
			for _, g := range p.list(p.Network, "security-groups?project_id="+project, "security_groups") {
				// The ports of a server that is just gone may hold it for a moment.
				eventually(t, time.Minute, "security group gone from "+p.Name, func() error {
					_, err := p.Network.Delete(live(t), p.Network.ServiceURL("security-groups", g.text("id")), nil)
					if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
						return nil
					}
					return err
				})
			}
		}
	})
}

// furnish makes a server, volumes, a key pair and a group, all of the same names
// wherever they are.
func (w *World) furnish(t *testing.T) {
	t.Helper()
	network := w.createNetwork("differ")
	w.createSubnet(network, "10.91.0.0/24")
	w.things["network"] = network
	w.post(t, "key pair", "os-keypairs", map[string]any{"keypair": map[string]any{"name": "differ", "public_key": publicKey}}, "")
	w.things["group"] = w.post(t, "server group", "os-server-groups",
		map[string]any{"server_group": map[string]any{"name": "differ", "policy": "affinity"}}, "server_group")
	w.things["server"] = w.boot(t, "differ")
	w.things["bare"] = w.boot(t, "differ-bare")
	w.things["volume"] = w.createVolume(t, "differ")
	w.things["spare"] = w.createVolume(t, "differ-spare")
	w.attachVolume(t, w.things["server"], w.things["volume"])
	w.things["port"] = w.portOf(w.things["server"]).ID
	spare := must(ports.Create(live(t), w.Network, ports.CreateOpts{NetworkID: network, Name: "differ-spare"}).Extract())(t)
	t.Cleanup(func() { w.gone("port", spare.ID, ports.Delete(live(t), w.Network, spare.ID).ExtractErr()) })
	w.things["spare_port"] = spare.ID
}

func (w *World) boot(t *testing.T, name string) string {
	t.Helper()
	id := w.post(t, "server", "servers", map[string]any{"server": map[string]any{
		"name": name, "imageRef": w.things["image"], "flavorRef": flavorID, "availability_zone": w.zone, "key_name": "differ",
		"metadata": map[string]any{"colour": "red"}, "tags": []string{"blue"},
		"networks": []map[string]any{{"uuid": w.things["network"]}},
	}}, "server")
	eventually(t, 3*time.Minute, "server "+id+" ACTIVE", func() error { return w.isActive(id) })
	return id
}

// post creates something of the Compute API, and deletes it at the end.
func (w *World) post(t *testing.T, kind, path string, body any, key string) string {
	t.Helper()
	var out map[string]map[string]any
	_, err := w.Compute.Post(live(t), w.Compute.ServiceURL(path), body, &out, &gophercloud.RequestOpts{OkCodes: []int{200, 201, 202}})
	if err != nil {
		t.Errorf("%s in the %s: %v", kind, w.name, err)
		return w.things["nobody"]
	}
	id, _ := out[key]["id"].(string)
	if id == "" {
		id = "differ"
	}
	t.Cleanup(func() {
		_, err := w.Compute.Delete(live(t), w.Compute.ServiceURL(path, id), nil)
		w.gone(kind, id, err)
		if kind == "server" {
			eventually(t, time.Minute, "server "+id+" gone", func() error { return w.isGone(id) })
		}
	})
	return id
}

func (w *World) createVolume(t *testing.T, name string) string {
	t.Helper()
	var out struct{ Volume struct{ ID, Status string } }
	body := map[string]any{"volume": map[string]any{"name": name, "size": 1, "availability_zone": w.zone}}
	_, err := w.Volume.Post(live(t), w.Volume.ServiceURL("volumes"), body, &out, &gophercloud.RequestOpts{OkCodes: []int{202}})
	if err != nil {
		t.Fatal(err)
	}
	id := out.Volume.ID
	t.Cleanup(func() {
		_, err := w.Volume.Delete(live(t), w.Volume.ServiceURL("volumes", id), nil)
		w.gone("volume", id, err)
	})
	w.volumeBecomes(t, id, "available")
	return id
}

func (w *World) volumeBecomes(t *testing.T, id, status string) {
	t.Helper()
	eventually(t, time.Minute, "volume "+id+" "+status, func() error {
		got := get[struct{ Volume struct{ Status string } }](t, w.Volume, "volumes/"+id).Volume.Status
		if got != status {
			return fmt.Errorf("status is %s", got)
		}
		return nil
	})
}

func (w *World) attachVolume(t *testing.T, server, volume string) {
	t.Helper()
	path := w.Compute.ServiceURL("servers", server, "os-volume_attachments")
	body := map[string]any{"volumeAttachment": map[string]any{"volumeId": volume}}
	if _, err := w.Compute.Post(live(t), path, body, nil, &gophercloud.RequestOpts{OkCodes: []int{200}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := w.Compute.Delete(live(t), path+"/"+volume, nil)
		w.gone("attachment", volume, err)
		w.volumeBecomes(t, volume, "available")
	})
	w.volumeBecomes(t, volume, "in-use")
}

// look finds what operators see: names and IDs that the world has given itself.
func (w *World) look(t *testing.T) {
	t.Helper()
	c := *w.admin.Compute
	c.Microversion = ""
	for _, v := range []string{"", "2.88"} {
		c.Microversion = v
		suffix := map[string]string{"": "_number"}[v]
		w.things["hypervisor"+suffix] = first(t, &c, "os-hypervisors", "hypervisors", "id")
		w.things["service"+suffix] = first(t, &c, "os-services?binary=nova-compute", "services", "id")
	}
	w.things["hypervisor_name"] = first(t, &c, "os-hypervisors", "hypervisors", "hypervisor_hostname")
	w.things["host"] = first(t, &c, "os-services?binary=nova-compute", "services", "host")
	w.things["request"] = first(t, w.Compute, "servers/"+w.things["server"]+"/os-instance-actions", "instanceActions", "request_id")
}

func first(t *testing.T, c *gophercloud.ServiceClient, path, key, field string) string {
	t.Helper()
	all := get[map[string][]map[string]any](t, c, path)[key]
	if len(all) == 0 {
		t.Fatalf("GET %s: no %s", path, key)
	}
	return fmt.Sprint(all[0][field])
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// fill puts the world's things into a text.
func (w *World) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		if thing, ok := w.things[strings.Trim(p, "{}")]; ok {
			return thing
		}
		return p
	})
}

// root is the service's own, without version and project.
func (w *World) root() string {
	root, _, _ := strings.Cut(w.client.Endpoint, w.api.version)
	return strings.TrimSuffix(root, "/")
}

// url of a path below the API's version, or with two slashes below its root.
func (w *World) url(path string) string {
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		return w.root() + "/" + w.fill(rest)
	}
	return w.root() + w.api.version + w.fill(path)
}

// worlds are the names of both: what one makes for everybody, the other lists.
var worlds = regexp.MustCompile(`differ-(pod|region)-\d+`)

var podNamed = regexp.MustCompile(`^pod pod\d: `)

// plain takes everything out of a text that is this world's own.
func (w *World) plain(text string) string {
	root := w.root()
	text = worlds.ReplaceAllString(text, "<world>")
	host := must(url.Parse(root))(w.t).Host
	text = strings.NewReplacer(root+"/", "<root>/", root, "<root>", "http://"+host, "<services>").Replace(text)
	if text == "nova" || text == "az1" || text == "az2" {
		return "<zone>"
	}
	text = podNamed.ReplaceAllString(text, "") // a pod's error says whose it is
	for _, a := range anonymous {
		text = a.pattern.ReplaceAllString(text, a.by)
	}
	text = query.ReplaceAllStringFunc(text, inOrderOfNames)
	return enumeration.ReplaceAllStringFunc(text, inOrder)
}

// query is that of a link: the order of its parameters has no meaning.
var query = regexp.MustCompile(`\?[\w.~%<>:+-]+=[^\s"]*`)

func inOrderOfNames(q string) string {
	all := strings.Split(q[1:], "&")
	slices.Sort(all)
	return "?" + strings.Join(all, "&")
}

// enumeration is a list of names within a message: Neutron makes many of a set, and a
// set of Python has another order in every process.
var enumeration = regexp.MustCompile(`'?[a-z][\w:]*'?(, '?[a-z][\w:]*'?)+`)

func inOrder(names string) string {
	all := strings.Split(names, ", ")
	slices.Sort(all)
	return strings.Join(all, ", ")
}
