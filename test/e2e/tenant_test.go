//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/endpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/regions"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/services"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

const (
	keystoneURL  = "http://127.0.0.10:5000/v3"
	flavorID     = "1" // m1.tiny, in every pod
	microversion = "2.79"
)

// Tenant is a user in one region: of the region under test, or of a pod.
type Tenant struct {
	t                               *testing.T
	Project                         string
	Compute, Network, Image, Volume *gophercloud.ServiceClient
}

// login makes the tenant of the region under test.
func login(t *testing.T, user string) *Tenant {
	t.Helper()
	return loginTo(t, user, region.Name)
}

func loginTo(t *testing.T, user, in string) *Tenant {
	t.Helper()
	provider := must(authenticate(live(t), user))(t)
	eo := gophercloud.EndpointOpts{Region: in}
	tenant := &Tenant{
		t:       t,
		Compute: must(openstack.NewComputeV2(provider, eo))(t),
		Network: must(openstack.NewNetworkV2(provider, eo))(t),
		Image:   must(openstack.NewImageV2(provider, eo))(t),
		Volume:  must(openstack.NewBlockStorageV3(provider, eo))(t),
	}
	tenant.Compute.Microversion = microversion
	tenant.Project = projectOf(t, provider)
	return tenant
}

func authenticate(ctx context.Context, user string) (*gophercloud.ProviderClient, error) {
	return openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: keystoneURL, Username: user, Password: "secret", DomainID: "default",
		TenantName: user, AllowReauth: true,
	})
}

func projectOf(t *testing.T, provider *gophercloud.ProviderClient) string {
	t.Helper()
	var out struct {
		Token struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
		} `json:"token"`
	}
	req := must(http.NewRequestWithContext(live(t), http.MethodGet, keystoneURL+"/auth/tokens", nil))(t)
	req.Header.Set("X-Auth-Token", provider.TokenID)
	req.Header.Set("X-Subject-Token", provider.TokenID)
	decode(t, must(http.DefaultClient.Do(req))(t), &out)
	return out.Token.Project.ID
}

// live is a context that the test's end does not cancel: what a test made is
// deleted after it, by Cleanup.
func live(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }

// must unwraps a value, and fails the test when there is an error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// get reads any path of a service: the pods' own views have no typed calls.
func get[T any](t *testing.T, c *gophercloud.ServiceClient, path string) T {
	t.Helper()
	var out T
	if _, err := c.Get(live(t), c.ServiceURL(path), &out, nil); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return out
}

// What a tenant creates is deleted at the end of the test, last first, unless
// the test has done so itself.

// uploadImage makes an image that every pod has, so that servers need not wait for it.
func (u *Tenant) uploadImage(name string) string {
	u.t.Helper()
	id := u.upload(images.CreateOpts{
		Name: name, DiskFormat: "raw", ContainerFormat: "bare", Properties: map[string]string{"tricircle_copy": "everywhere"},
	})
	for _, p := range pods(u.t) {
		eventually(u.t, time.Minute, "the image in "+p.Name, func() error {
			image, err := images.Get(live(u.t), p.Image, id).Extract()
			if err == nil && image.Status != images.ImageStatusActive {
				err = fmt.Errorf("it is %s", image.Status)
			}
			return err
		})
	}
	return id
}

// upload makes an image as it says; without a word about it, one that is in one pod.
func (u *Tenant) upload(o images.CreateOpts) string {
	u.t.Helper()
	image := must(images.Create(live(u.t), u.Image, o).Extract())(u.t)
	u.t.Cleanup(func() { u.gone("image", image.ID, images.Delete(live(u.t), u.Image, image.ID).ExtractErr()) })
	if err := imagedata.Upload(live(u.t), u.Image, image.ID, strings.NewReader(strings.Repeat("x", 4096))).ExtractErr(); err != nil {
		u.t.Fatal(err)
	}
	return image.ID
}

func (u *Tenant) createNetwork(name string) string {
	u.t.Helper()
	network := must(networks.Create(live(u.t), u.Network, networks.CreateOpts{Name: name}).Extract())(u.t)
	u.t.Cleanup(func() { u.gone("network", network.ID, networks.Delete(live(u.t), u.Network, network.ID).ExtractErr()) })
	return network.ID
}

func (u *Tenant) createSubnet(network, cidr string) {
	u.t.Helper()
	must(subnets.Create(live(u.t), u.Network, subnets.CreateOpts{
		NetworkID: network, CIDR: cidr, IPVersion: 4,
	}).Extract())(u.t)
}

func (u *Tenant) createServer(name, zone, image, network string) string {
	u.t.Helper()
	server := must(servers.Create(live(u.t), u.Compute, servers.CreateOpts{
		Name: name, ImageRef: image, FlavorRef: flavorID, AvailabilityZone: zone,
		Networks: []servers.Network{{UUID: network}},
	}, nil).Extract())(u.t)
	u.t.Cleanup(func() { u.deleteServer(server.ID) })
	return server.ID
}

// gone reports a deletion that failed; one of something that is gone did not.
func (u *Tenant) gone(kind, id string, err error) {
	u.t.Helper()
	if err != nil && !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		u.t.Errorf("delete %s %s: %v", kind, id, err)
	}
}

func (u *Tenant) waitActive(servers ...string) {
	u.t.Helper()
	for _, id := range servers {
		eventually(u.t, time.Minute, "server "+id+" ACTIVE", func() error { return u.isActive(id) })
	}
}

func (u *Tenant) isActive(id string) error {
	server, err := servers.Get(live(u.t), u.Compute, id).Extract()
	if err != nil {
		return err
	}
	if server.Status != "ACTIVE" {
		return fmt.Errorf("status is %s (%s)", server.Status, server.Fault.Message)
	}
	return nil
}

// deleteServer deletes and waits until the server is gone.
func (u *Tenant) deleteServer(id string) {
	u.t.Helper()
	u.gone("server", id, servers.Delete(live(u.t), u.Compute, id).ExtractErr())
	eventually(u.t, time.Minute, "server "+id+" gone", func() error { return u.isGone(id) })
}

func (u *Tenant) isGone(id string) error {
	_, err := servers.Get(live(u.t), u.Compute, id).Extract()
	if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("it is still there")
	}
	return err
}

// portOf is the only port of a server.
func (u *Tenant) portOf(server string) ports.Port {
	u.t.Helper()
	pages := must(ports.List(u.Network, ports.ListOpts{DeviceID: server}).AllPages(live(u.t)))(u.t)
	all := must(ports.ExtractPorts(pages))(u.t)
	if len(all) != 1 {
		u.t.Fatalf("server %s has %d ports, want 1", server, len(all))
	}
	return all[0]
}

// portsOn lists the ports of a network, but for those that serve it.
func (u *Tenant) portsOn(network string) []ports.Port {
	u.t.Helper()
	pages := must(ports.List(u.Network, ports.ListOpts{NetworkID: network}).AllPages(live(u.t)))(u.t)
	return slices.DeleteFunc(must(ports.ExtractPorts(pages))(u.t), func(p ports.Port) bool {
		return strings.HasPrefix(p.DeviceOwner, "network:")
	})
}

// keystoneAdmin is a client of Keystone itself.
func keystoneAdmin(ctx context.Context) (*gophercloud.ServiceClient, error) {
	provider, err := authenticate(ctx, "admin")
	if err != nil {
		return nil, err
	}
	return openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{Region: "RegionOne"})
}

// registerKeystone makes Keystone's own endpoint in the region, as operators do: the
// client looks there for the projects that commands name.
func registerKeystone(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	keystone, err := keystoneAdmin(ctx)
	if err != nil {
		return err
	}
	pages, err := services.List(keystone, services.ListOpts{ServiceType: "identity"}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := services.ExtractServices(pages)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("keystone does not list itself")
	}
	_, err = endpoints.Create(ctx, keystone, endpoints.CreateOpts{
		Availability: gophercloud.AvailabilityPublic, Region: name, ServiceID: all[0].ID, URL: keystoneURL, Name: "keystone",
	}).Extract()
	return err
}

// unregister takes a region and its endpoints out of Keystone.
func unregister(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	keystone, err := keystoneAdmin(ctx)
	if err != nil {
		return err
	}
	pages, err := endpoints.List(keystone, endpoints.ListOpts{RegionID: name}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := endpoints.ExtractEndpoints(pages)
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := endpoints.Delete(ctx, keystone, e.ID).ExtractErr(); err != nil {
			return err
		}
	}
	err = regions.Delete(ctx, keystone, name).ExtractErr()
	if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return nil
	}
	return err
}
