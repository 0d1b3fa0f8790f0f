//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/transfers"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// VolumeLife is a volume on its way in one zone, with a server to use it.
type VolumeLife struct {
	*Tenant
	pod         Pod
	zone, name  string
	image, wire string
}

// TestVolumeLife walks with gophercloud through the life of a volume in both zones, and
// looks after each step whether it is in the right pod, and there alone.
func TestVolumeLife(t *testing.T) {
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	image := tenant.upload(images.CreateOpts{Name: "volume-life", DiskFormat: "raw", ContainerFormat: "bare"})
	wire := tenant.networkWithSubnet("volume-life", "10.95.0.0/24")
	t.Run("zone", func(t *testing.T) {
		for i, zone := range []string{"az1", "az2"} {
			t.Run(zone, func(t *testing.T) {
				t.Parallel()
				l := &VolumeLife{Tenant: login(t, "alt"), pod: pods(t)[i], zone: zone, name: "volume-life-" + zone, image: image, wire: wire}
				l.live(t)
			})
		}
	})
}

func (l *VolumeLife) live(t *testing.T) {
	id := l.make(volumes.CreateOpts{Name: l.name, Size: 1, AvailabilityZone: l.zone, Metadata: map[string]string{"colour": "red"}})
	l.inOnePod(t, id)
	shown := must(volumes.Get(live(t), l.Volume, id).Extract())(t)
	if shown.AvailabilityZone != l.zone || len(shown.Metadata) != 1 || shown.Metadata["colour"] != "red" {
		t.Errorf("the volume is in %s with metadata %v, want %s and just colour=red", shown.AvailabilityZone, shown.Metadata, l.zone)
	}
	name := l.name + "-renamed"
	must(volumes.Update(live(t), l.Volume, id, volumes.UpdateOpts{Name: &name}).Extract())(t)
	pages := must(volumes.List(l.Volume, volumes.ListOpts{Name: name, Limit: 1}).AllPages(live(t)))(t)
	if found := must(volumes.ExtractVolumes(pages))(t); len(found) != 1 || found[0].ID != id {
		t.Errorf("volumes of that name: %v, want %s", found, id)
	}
	l.snapshot(t, id)
	l.boot(t, id)
	l.transfer(t, id)
}

// make creates a volume, and deletes it at the end.
func (l *VolumeLife) make(o volumes.CreateOpts) string {
	l.t.Helper()
	v := must(volumes.Create(live(l.t), l.Volume, o, nil).Extract())(l.t)
	l.t.Cleanup(func() {
		l.gone("volume", v.ID, volumes.Delete(live(l.t), l.Volume, v.ID, volumes.DeleteOpts{}).ExtractErr())
		eventually(l.t, time.Minute, "volume gone", func() error {
			_, err := volumes.Get(live(l.t), l.Volume, v.ID).Extract()
			if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
				return nil
			}
			return fmt.Errorf("it is there: %v", err)
		})
	})
	l.is(v.ID, "available")
	return v.ID
}

func (l *VolumeLife) is(id, status string) {
	l.t.Helper()
	eventually(l.t, 2*time.Minute, "volume "+id+" "+status, func() error {
		v, err := volumes.Get(live(l.t), l.Volume, id).Extract()
		if err == nil && v.Status != status {
			err = fmt.Errorf("status is %s", v.Status)
		}
		return err
	})
}

// inOnePod looks for the volume in all pods.
func (l *VolumeLife) inOnePod(t *testing.T, id string) {
	t.Helper()
	for _, p := range pods(t) {
		_, err := volumes.Get(live(t), p.Volume, id).Extract()
		if (err == nil) != (p.Name == l.pod.Name) {
			t.Errorf("volume %s of %s in %s: %v", id, l.zone, p.Name, err)
		}
	}
}

// snapshotOf is a snapshot of the volume, deleted at the end.
func (l *VolumeLife) snapshotOf(t *testing.T, id string) string {
	t.Helper()
	s := must(snapshots.Create(live(t), l.Volume, snapshots.CreateOpts{VolumeID: id, Name: l.name}).Extract())(t)
	t.Cleanup(func() {
		l.gone("snapshot", s.ID, snapshots.Delete(live(t), l.Volume, s.ID).ExtractErr())
		eventually(t, time.Minute, "snapshot gone", func() error {
			_, err := snapshots.Get(live(t), l.Volume, s.ID).Extract()
			if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
				return nil
			}
			return fmt.Errorf("it is there: %v", err)
		})
	})
	eventually(t, time.Minute, "snapshot available", func() error {
		got, err := snapshots.Get(live(t), l.Volume, s.ID).Extract()
		if err == nil && got.Status != "available" {
			err = fmt.Errorf("status is %s", got.Status)
		}
		return err
	})
	return s.ID
}

func (l *VolumeLife) snapshot(t *testing.T, id string) {
	l.inOnePod(t, l.make(volumes.CreateOpts{Name: l.name + "-of-snapshot", SnapshotID: l.snapshotOf(t, id)}))
	l.inOnePod(t, l.make(volumes.CreateOpts{Name: l.name + "-of-volume", SourceVolID: id}))
}

// boot attaches the volume to a server that has one of its own, which goes with it.
func (l *VolumeLife) boot(t *testing.T, id string) {
	server := must(servers.Create(live(t), l.Compute, servers.CreateOpts{
		Name: l.name, FlavorRef: flavorID, AvailabilityZone: l.zone, Networks: []servers.Network{{UUID: l.wire}},
		BlockDevice: []servers.BlockDevice{{
			SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: l.image, VolumeSize: 1, DeleteOnTermination: true,
		}},
	}, nil).Extract())(t)
	t.Cleanup(func() { l.deleteServer(server.ID) })
	eventually(t, 3*time.Minute, "server "+server.ID+" ACTIVE", func() error { return l.isActive(server.ID) })
	shown := must(servers.Get(live(t), l.Compute, server.ID).Extract())(t)
	if len(shown.AttachedVolumes) != 1 {
		t.Fatalf("the server has volumes %v, want its own", shown.AttachedVolumes)
	}
	root := shown.AttachedVolumes[0].ID
	l.inOnePod(t, root)
	must(volumeattach.Create(live(t), l.Compute, server.ID, volumeattach.CreateOpts{VolumeID: id}).Extract())(t)
	l.is(id, "in-use")
	must(0, volumeattach.Delete(live(t), l.Compute, server.ID, id).ExtractErr())(t)
	l.is(id, "available")
	far := l.far()
	_, err := volumeattach.Create(live(t), l.Compute, server.ID, volumeattach.CreateOpts{VolumeID: far}).Extract()
	if !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) || !strings.Contains(err.Error(), "az1") || !strings.Contains(err.Error(), "az2") {
		t.Errorf("a volume of another zone: %v, want a 400 with both zones", err)
	}
	l.deleteServer(server.ID)
	eventually(t, time.Minute, "the server's own volume goes with it", func() error {
		_, err := volumes.Get(live(t), l.Volume, root).Extract()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return nil
		}
		return fmt.Errorf("it is there: %v", err)
	})
}

// far is a volume in the other zone.
func (l *VolumeLife) far() string {
	zones := slices.DeleteFunc([]string{"az1", "az2"}, func(z string) bool { return z == l.zone })
	return l.make(volumes.CreateOpts{Name: l.name + "-far", Size: 1, AvailabilityZone: zones[0]})
}

// transfer is offered, and taken back.
func (l *VolumeLife) transfer(t *testing.T, id string) {
	offer := must(transfers.Create(live(t), l.Volume, transfers.CreateOpts{VolumeID: id, Name: l.name}).Extract())(t)
	l.is(id, "awaiting-transfer")
	pages := must(transfers.List(l.Volume, nil).AllPages(live(t)))(t)
	if !slices.ContainsFunc(must(transfers.ExtractTransfers(pages))(t), func(o transfers.Transfer) bool { return o.ID == offer.ID }) {
		t.Errorf("transfer %s is not listed", offer.ID)
	}
	must(0, transfers.Delete(live(t), l.Volume, offer.ID).ExtractErr())(t)
	l.is(id, "available")
}

// TestVolumeToAnotherZone makes volumes out of one that another zone has, and of its
// snapshot: what was written there is in the copy, whatever happens to the program on the
// way, and nothing of the way is left. The bytes come from an image and go back to one.
func TestVolumeToAnotherZone(t *testing.T) {
	long(t)
	const size = 8 * megabyte
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	l := &VolumeLife{Tenant: tenant, pod: pods(t)[0], zone: "az1", name: "volume-far"}
	image, _ := tenant.uploaded("volume-far", size)
	source := l.make(volumes.CreateOpts{Name: "volume-far-source", Size: 1, ImageID: image, VolumeType: "files", AvailabilityZone: "az1"})
	l.inOnePod(t, source)
	t.Run("volume", func(t *testing.T) { copyFar(t, volumes.CreateOpts{SourceVolID: source}, size, func() {}) })
	t.Run("killed", func(t *testing.T) {
		copyFar(t, volumes.CreateOpts{SourceVolID: source}, size, func() {
			for _, after := range []time.Duration{1, 2, 3, 4} {
				time.Sleep(after * time.Second)
				region.crash(t)
			}
		})
	})
	snapshot := l.snapshotOf(t, source)
	t.Run("snapshot", func(t *testing.T) { copyFar(t, volumes.CreateOpts{SnapshotID: snapshot}, size, func() {}) })
	// The testbed's driver keeps what was written after a snapshot in a file of its own,
	// backs up that one alone, and makes no image of it: no means is left.
	t.Run("volume with a snapshot", func(t *testing.T) {
		l, id := beginFar(t, volumes.CreateOpts{SourceVolID: source})
		l.is(id, "error")
		if why := must(volumes.Get(live(t), l.Volume, id).Extract())(t).Metadata["tricircle_reason"]; !strings.Contains(why, "copy a snapshot of it instead") {
			t.Errorf("the reason is %q", why)
		}
		nothingOnTheWay(t)
	})
}

// beginFar asks for a volume in the second zone.
func beginFar(t *testing.T, o volumes.CreateOpts) (*VolumeLife, string) {
	t.Helper()
	l := &VolumeLife{Tenant: login(t, "alt"), pod: pods(t)[1], zone: "az2"}
	o.Name, o.Size, o.VolumeType, o.AvailabilityZone = "volume-far-copy", 1, "files", l.zone
	made := must(volumes.Create(live(t), l.Volume, o, nil).Extract())(t)
	t.Cleanup(func() { l.gone("volume", made.ID, volumes.Delete(live(t), l.Volume, made.ID, nil).ExtractErr()) })
	if made.Status != "creating" {
		t.Errorf("the copy is %s at first, want creating", made.Status)
	}
	return l, made.ID
}

// copyFar makes a volume in the second zone out of what another has, with the first
// bytes of data.
func copyFar(t *testing.T, o volumes.CreateOpts, size int64, meanwhile func()) {
	t.Helper()
	began := time.Now()
	l, id := beginFar(t, o)
	meanwhile()
	l.is(id, "available")
	t.Logf("a volume of 1 GB with %d MB was copied to the other zone in %s", size/megabyte, time.Since(began).Round(time.Second))
	l.inOnePod(t, id)
	if l.bytesOf(t, id, size) != hashOf(t, data(size)) {
		t.Error("the copy has other bytes than its source")
	}
	nothingOnTheWay(t)
}

// nothingOnTheWay waits until no pod has anything that was made to fill a volume.
func nothingOnTheWay(t *testing.T) {
	t.Helper()
	eventually(t, 3*time.Minute, "what was made on the way is gone", func() error {
		for _, p := range pods(t) {
			things := append(p.list(p.Volume, "volumes/detail?all_tenants=1", "volumes"), p.list(p.Volume, "backups/detail?all_tenants=1", "backups")...)
			for _, o := range append(things, p.list(p.Image, "images?limit=1000", "images")...) {
				if strings.HasPrefix(o.text("name"), "tricircle-fill-") {
					return fmt.Errorf("%s has %s %s", p.Name, o.text("name"), o.text("id"))
				}
			}
		}
		return nil
	})
}

// bytesOf is the hash of a volume's first bytes, which go through an image.
func (l *VolumeLife) bytesOf(t *testing.T, id string, size int64) string {
	t.Helper()
	uploading := must(volumes.UploadImage(live(t), l.Volume, id, volumes.UploadImageOpts{
		ImageName: "volume-far-bytes", DiskFormat: "raw", ContainerFormat: "bare",
	}).Extract())(t)
	image := uploading.ImageID
	t.Cleanup(func() { l.gone("image", image, images.Delete(live(t), l.Image, image).ExtractErr()) })
	eventually(t, 2*time.Minute, "the volume's image active", func() error {
		shown, err := images.Get(live(t), l.Image, image).Extract()
		if err == nil && shown.Status != images.ImageStatusActive {
			err = fmt.Errorf("status is %s", shown.Status)
		}
		return err
	})
	l.is(id, "available")
	body := must(imagedata.Download(live(t), l.Image, image).Extract())(t)
	defer body.Close()
	return hashOf(t, io.LimitReader(body, size))
}
