//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servergroups"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/tags"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
)

// Life is one server on its way, with what belongs to it, in one zone.
type Life struct {
	*Tenant
	pod            Pod
	zone, name     string
	image, network string
	server, group  string
}

// TestServerLife walks through the life of a server in both zones with
// gophercloud, and looks after each step whether region and pod agree.
func TestServerLife(t *testing.T) {
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	image := tenant.uploadImage("life")
	network := tenant.createNetwork("life")
	tenant.createSubnet(network, "10.95.0.0/24")
	must(keypairs.Create(live(t), tenant.Compute, keypairs.CreateOpts{Name: "life", PublicKey: publicKey}).Extract())(t)
	t.Cleanup(func() {
		tenant.gone("key pair", "life", keypairs.Delete(live(t), tenant.Compute, "life", nil).ExtractErr())
	})
	t.Run("zone", func(t *testing.T) {
		for i, zone := range []string{"az1", "az2"} {
			t.Run(zone, func(t *testing.T) {
				t.Parallel()
				l := &Life{Tenant: login(t, "alt"), pod: pods(t)[i], zone: zone, name: "life-" + zone, image: image, network: network}
				l.live(t)
			})
		}
	})
}

func (l *Life) live(t *testing.T) {
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"create", l.create}, {"show and list", l.list}, {"metadata and tags", l.label}, {"states", l.states}, {"resize", l.resize},
		{"rebuild", l.rebuild}, {"volume", l.volume}, {"interface", l.plug}, {"refusals", l.refusals}, {"delete", l.remove},
	} {
		step.do(t)
		if t.Failed() {
			t.Fatalf("%s: %s failed", l.zone, step.name)
		}
	}
}

// securityGroup makes a group with a rule, its name by zone.
func (l *Life) securityGroup(t *testing.T) string {
	g := must(groups.Create(live(t), l.Network, groups.CreateOpts{Name: l.name}).Extract())(t)
	t.Cleanup(func() { l.gone("group", g.ID, groups.Delete(live(t), l.Network, g.ID).ExtractErr()) })
	must(rules.Create(live(t), l.Network, rules.CreateOpts{
		SecGroupID: g.ID, Direction: rules.DirIngress, EtherType: rules.EtherType4, Protocol: rules.ProtocolTCP,
		PortRangeMin: 22, PortRangeMax: 22, RemoteIPPrefix: "192.0.2.0/24",
	}).Extract())(t)
	return g.ID
}

func (l *Life) create(t *testing.T) {
	l.securityGroup(t)
	g := must(servergroups.Create(live(t), l.Compute, servergroups.CreateOpts{Name: l.name, Policy: "anti-affinity"}).Extract())(t)
	l.group = g.ID
	t.Cleanup(func() {
		l.gone("server group", g.ID, servergroups.Delete(live(t), l.Compute, g.ID).ExtractErr())
	})
	drive := true
	made := must(servers.Create(live(t), l.Compute, keypairs.CreateOptsExt{KeyName: "life", CreateOptsBuilder: servers.CreateOpts{
		Name: l.name, ImageRef: l.image, FlavorRef: flavorID, AvailabilityZone: l.zone, UserData: []byte("#!/bin/sh\n"), ConfigDrive: &drive,
		Metadata: map[string]string{"colour": "red"}, Tags: []string{"blue"}, SecurityGroups: []string{l.name},
		Networks: []servers.Network{{UUID: l.network}},
	}}, servers.SchedulerHintOpts{Group: g.ID}).Extract())(t)
	l.server = made.ID
	t.Cleanup(func() { l.deleteServer(made.ID) })
	l.becomes(t, "ACTIVE")

	inPod := get[struct{ Server object }](t, l.pod.Compute, "servers/"+l.server).Server
	for field, want := range map[string]string{"key_name": "life", "config_drive": "True", "name": l.name} {
		if got := inPod.text(field); got != want {
			t.Errorf("%s has %s %q, want %q", l.pod.Name, field, got, want)
		}
	}
	if inPod.text("OS-EXT-SRV-ATTR:user_data") == "" {
		t.Errorf("%s has no user data", l.pod.Name)
	}
	port := l.pod.portByMark(l.portOf(l.server).ID)
	if ids, _ := port["security_groups"].([]any); len(ids) != 1 {
		t.Errorf("the port in %s has groups %v, want one", l.pod.Name, ids)
	}
	member := must(servergroups.Get(live(t), l.Compute, l.group).Extract())(t)
	if !slices.Equal(member.Members, []string{l.server}) {
		t.Errorf("members of the server group = %v, want %s", member.Members, l.server)
	}
}

// becomes waits until region and pod show the status.
func (l *Life) becomes(t *testing.T, status string) {
	t.Helper()
	eventually(t, 3*time.Minute, l.name+" "+status, func() error {
		server, err := servers.Get(live(t), l.Compute, l.server).Extract()
		if err == nil && server.Status != status {
			err = fmt.Errorf("the region shows %s (%s)", server.Status, server.Fault.Message)
		}
		return err
	})
	if got := get[struct{ Server object }](t, l.pod.Compute, "servers/"+l.server).Server.text("status"); got != status {
		t.Errorf("%s shows %s, want %s", l.pod.Name, got, status)
	}
}

func (l *Life) list(t *testing.T) {
	for what, opts := range map[string]servers.ListOpts{
		"name":  {Name: "^" + l.name + "$"},
		"zone":  {AvailabilityZone: l.zone, Name: l.name},
		"tag":   {Tags: "blue", Name: l.name},
		"image": {Image: l.image, Status: "ACTIVE", Name: l.name},
	} {
		pages := must(servers.List(l.Compute, opts).AllPages(live(t)))(t)
		found := must(servers.ExtractServers(pages))(t)
		if len(found) != 1 || found[0].ID != l.server || found[0].AvailabilityZone != l.zone {
			t.Errorf("servers by %s = %v, want %s in %s", what, found, l.server, l.zone)
		}
	}
	if out := must(servers.ShowConsoleOutput(live(t), l.Compute, l.server, servers.ShowConsoleOutputOpts{}).Extract())(t); out == "" {
		t.Error("the console log is empty")
	}
}

func (l *Life) label(t *testing.T) {
	must(servers.UpdateMetadata(live(t), l.Compute, l.server, servers.MetadataOpts{"shape": "round"}).Extract())(t)
	want := map[string]string{"colour": "red", "shape": "round"}
	if got := must(servers.Metadata(live(t), l.Compute, l.server).Extract())(t); !maps.Equal(got, want) {
		t.Errorf("metadata = %v, want %v", got, want)
	}
	inPod := get[struct{ Metadata map[string]string }](t, l.pod.Compute, "servers/"+l.server+"/metadata").Metadata
	if inPod["shape"] != "round" || inPod["colour"] != "red" {
		t.Errorf("%s has metadata %v, want %v", l.pod.Name, inPod, want)
	}
	must(0, tags.Add(live(t), l.Compute, l.server, "green").ExtractErr())(t)
	if got := get[struct{ Tags []string }](t, l.pod.Compute, "servers/"+l.server+"/tags").Tags; len(got) != 2 {
		t.Errorf("%s has tags %v, want two", l.pod.Name, got)
	}
	must(servers.Update(live(t), l.Compute, l.server, servers.UpdateOpts{Name: l.name + "-new"}).Extract())(t)
	if got := get[struct{ Server object }](t, l.pod.Compute, "servers/"+l.server).Server.text("name"); got != l.name+"-new" {
		t.Errorf("%s calls the server %s", l.pod.Name, got)
	}
	l.name += "-new"
}

// states goes through what a server can be.
func (l *Life) states(t *testing.T) {
	rescue := func(ctx context.Context, c *gophercloud.ServiceClient, id string) error {
		return servers.Rescue(ctx, c, id, servers.RescueOpts{RescueImageRef: l.image}).Err
	}
	reboot := func(ctx context.Context, c *gophercloud.ServiceClient, id string) error {
		return servers.Reboot(ctx, c, id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr()
	}
	unshelve := func(ctx context.Context, c *gophercloud.ServiceClient, id string) error {
		return servers.Unshelve(ctx, c, id, servers.UnshelveOpts{AvailabilityZone: l.zone}).ExtractErr()
	}
	offload := func(ctx context.Context, c *gophercloud.ServiceClient, id string) error {
		return servers.Shelve(ctx, c, id).ExtractErr()
	}
	for _, s := range []struct {
		do     func(ctx context.Context, c *gophercloud.ServiceClient, id string) error
		status string
	}{
		{simply(servers.Stop), "SHUTOFF"}, {simply(servers.Start), "ACTIVE"}, {reboot, "ACTIVE"}, {simply(servers.Pause), "PAUSED"},
		{simply(servers.Unpause), "ACTIVE"}, {simply(servers.Suspend), "SUSPENDED"}, {simply(servers.Resume), "ACTIVE"},
		{rescue, "RESCUE"}, {simply(servers.Unrescue), "ACTIVE"}, {offload, "SHELVED_OFFLOADED"}, {unshelve, "ACTIVE"},
	} {
		if err := s.do(live(t), l.Compute, l.server); err != nil {
			t.Fatalf("to %s: %v", s.status, err)
		}
		l.becomes(t, s.status)
	}
	must(0, servers.Lock(live(t), l.Compute, l.server).ExtractErr())(t)
	if inPod := get[struct{ Server object }](t, l.pod.Compute, "servers/"+l.server).Server; inPod["locked"] != true {
		t.Errorf("%s does not lock the server", l.pod.Name)
	}
	must(0, servers.Unlock(live(t), l.Compute, l.server).ExtractErr())(t)
}

// simply is an action that takes no options, whatever its result is called.
func simply[R interface{ ExtractErr() error }](do func(context.Context, *gophercloud.ServiceClient, string) R) func(context.Context, *gophercloud.ServiceClient, string) error {
	return func(ctx context.Context, c *gophercloud.ServiceClient, id string) error {
		return do(ctx, c, id).ExtractErr()
	}
}

func (l *Life) resize(t *testing.T) {
	const larger = "2" // m1.small
	must(0, servers.Resize(live(t), l.Compute, l.server, servers.ResizeOpts{FlavorRef: larger}).ExtractErr())(t)
	l.becomes(t, "VERIFY_RESIZE")
	must(0, servers.ConfirmResize(live(t), l.Compute, l.server).ExtractErr())(t)
	l.becomes(t, "ACTIVE")
	inPod := get[struct{ Server object }](t, l.pod.Compute, "servers/"+l.server).Server
	if flavor, _ := inPod["flavor"].(map[string]any); flavor["original_name"] != "m1.small" {
		t.Errorf("%s shows flavor %v, want m1.small", l.pod.Name, flavor)
	}
}

func (l *Life) rebuild(t *testing.T) {
	must(servers.Rebuild(live(t), l.Compute, l.server, servers.RebuildOpts{ImageRef: l.image, Metadata: map[string]string{"again": "yes"}}).Extract())(t)
	l.becomes(t, "ACTIVE")
	if got := must(servers.Metadata(live(t), l.Compute, l.server).Extract())(t); !maps.Equal(got, map[string]string{"again": "yes"}) {
		t.Errorf("metadata = %v, want just again=yes", got)
	}
}

func (l *Life) volume(t *testing.T) {
	v := must(volumes.Create(live(t), l.Volume, volumes.CreateOpts{Name: l.name, Size: 1, AvailabilityZone: l.zone}, nil).Extract())(t)
	t.Cleanup(func() { l.gone("volume", v.ID, volumes.Delete(live(t), l.Volume, v.ID, nil).ExtractErr()) })
	l.volumeBecomes(t, v.ID, "available")
	must(volumeattach.Create(live(t), l.Compute, l.server, volumeattach.CreateOpts{VolumeID: v.ID}).Extract())(t)
	l.volumeBecomes(t, v.ID, "in-use")
	must(0, volumeattach.Delete(live(t), l.Compute, l.server, v.ID).ExtractErr())(t)
	l.volumeBecomes(t, v.ID, "available")
}

func (l *Life) volumeBecomes(t *testing.T, id, status string) {
	t.Helper()
	eventually(t, 2*time.Minute, "volume "+status, func() error {
		v, err := volumes.Get(live(t), l.Volume, id).Extract()
		if err == nil && v.Status != status {
			err = fmt.Errorf("the region shows %s", v.Status)
		}
		return err
	})
	inPod := get[struct{ Volume object }](t, l.pod.Volume, "volumes/"+id+"?all_tenants=1").Volume
	if inPod.text("status") != status {
		t.Errorf("%s shows the volume %s, want %s", l.pod.Name, inPod.text("status"), status)
	}
}

func (l *Life) plug(t *testing.T) {
	i := must(attachinterfaces.Create(live(t), l.Compute, l.server, attachinterfaces.CreateOpts{NetworkID: l.network}).Extract())(t)
	if got := l.pod.portByMark(i.PortID).text("device_id"); got != l.server {
		t.Errorf("the port in %s serves %s, want the server", l.pod.Name, got)
	}
	must(0, attachinterfaces.Delete(live(t), l.Compute, l.server, i.PortID).ExtractErr())(t)
	eventually(t, time.Minute, "one interface left", func() error {
		if n := len(l.pod.list(l.pod.Compute, "servers/"+l.server+"/os-interface", "interfaceAttachments")); n != 1 {
			return fmt.Errorf("%s shows %d", l.pod.Name, n)
		}
		return nil
	})
}

// refusals are Nova's own words, by way of the region.
func (l *Life) refusals(t *testing.T) {
	err := servers.Start(live(t), l.Compute, l.server).ExtractErr()
	if !gophercloud.ResponseCodeIs(err, http.StatusConflict) || !strings.Contains(err.Error(), "while it is in vm_state active") {
		t.Errorf("a start of what runs: %v, want Nova's 409", err)
	}
	err = servers.CreateImage(live(t), l.Compute, l.server, servers.CreateImageOpts{}).Err
	if err == nil {
		t.Error("an image without a name is made")
	}
}

func (l *Life) remove(t *testing.T) {
	l.deleteServer(l.server)
	_, err := servers.Get(live(t), l.pod.Compute, l.server).Extract()
	if !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		t.Errorf("%s still answers for the server: %v", l.pod.Name, err)
	}
	member := must(servergroups.Get(live(t), l.Compute, l.group).Extract())(t)
	if len(member.Members) != 0 {
		t.Errorf("members of the server group = %v, want none", member.Members)
	}
}
