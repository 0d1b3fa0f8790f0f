//go:build e2e

package e2e

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

const megabyte = 1 << 20

var storageToo = flag.Bool("storage", false, "also the long tests of images and volumes")

// long is a test that make e2e has no time for.
func long(t *testing.T) {
	t.Helper()
	if !*storageToo {
		t.Skip("this is for the longer run: make e2e-storage")
	}
}

// data is a stream that is the same for the same seed: no two parts of it are equal.
func data(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), size)
}

func hashOf(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha512.New()
	must(io.Copy(h, r))(t)
	return hex.EncodeToString(h.Sum(nil))
}

// emptyImage makes the record of an image, to be deleted at the end.
func (u *Tenant) emptyImage(name string) string {
	u.t.Helper()
	image := must(images.Create(live(u.t), u.Image, images.CreateOpts{Name: name, DiskFormat: "raw", ContainerFormat: "bare"}).Extract())(u.t)
	u.t.Cleanup(func() { u.gone("image", image.ID, images.Delete(live(u.t), u.Image, image.ID).ExtractErr()) })
	return image.ID
}

// TestImageUpload sends 200 MB through Tricircle and reads them back: its memory stays
// flat, nothing is kept on its disk, and the pod has what was sent. The same is done
// with the pod directly, for the figures.
func TestImageUpload(t *testing.T) {
	const size = 200 * megabyte
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	want := hashOf(t, data(size))
	before, peak := region.resident(t), region.peakOf(t)
	up := func(u *Tenant, name string) (id string, took time.Duration) {
		id = u.emptyImage(name)
		began := time.Now()
		must(0, imagedata.Upload(live(t), u.Image, id, data(size)).ExtractErr())(t)
		return id, time.Since(began)
	}
	down := func(u *Tenant, id string) time.Duration {
		began := time.Now()
		body := must(imagedata.Download(live(t), u.Image, id).Extract())(t)
		defer body.Close()
		if got := hashOf(t, body); got != want {
			t.Errorf("what comes back from image %s is something else", id)
		}
		return time.Since(began)
	}
	direct := loginTo(t, "alt", "Pod1")
	inPod, directUp := up(direct, "upload-direct")
	id, throughUp := up(tenant, "upload-through")
	directDown, throughDown := down(direct, inPod), down(tenant, id)
	if shown := must(images.Get(live(t), tenant.Image, id).Extract())(t); shown.SizeBytes != size || shown.Properties["os_hash_value"] != want {
		t.Errorf("the image has %d bytes and hash %v, want %d and %s", shown.SizeBytes, shown.Properties["os_hash_value"], size, want)
	}
	if grown := peak() - before; grown > 40*megabyte {
		t.Errorf("the process grew by %d MB while %d MB passed", grown/megabyte, 2*size/megabyte)
	} else {
		t.Logf("the process grew by %d MB at most while %d MB passed", grown/megabyte, 2*size/megabyte)
	}
	perSecond := func(d time.Duration) float64 { return size / megabyte / d.Seconds() }
	t.Logf("200 MB up: the pod %.0f MB/s, through Tricircle %.0f MB/s; down: %.0f and %.0f MB/s",
		perSecond(directUp), perSecond(throughUp), perSecond(directDown), perSecond(throughDown))
}

// resident is the size of the program in memory, in bytes.
func (r *Region) resident(t *testing.T) int64 {
	t.Helper()
	fields := strings.Fields(r.memory(t)) // resident N kB
	return must(strconv.ParseInt(fields[1], 10, 64))(t) << 10
}

// peakOf watches the program's memory from now on; what it returns tells the highest.
func (r *Region) peakOf(t *testing.T) func() int64 {
	ctx, cancel := context.WithCancel(live(t))
	var wait sync.WaitGroup
	var peak int64
	wait.Go(func() {
		for ctx.Err() == nil {
			peak = max(peak, r.resident(t))
			time.Sleep(100 * time.Millisecond)
		}
	})
	return sync.OnceValue(func() int64 {
		cancel()
		wait.Wait()
		return peak
	})
}

// TestImageUploadCut breaks an upload off in the middle: the image is not active, and
// another upload makes it what it should be.
func TestImageUploadCut(t *testing.T) {
	long(t)
	const size = 20 * megabyte
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	id := tenant.emptyImage("upload-cut")
	cut := io.MultiReader(data(size/2), failing{errors.New("the client is gone")})
	if err := imagedata.Upload(live(t), tenant.Image, id, cut).ExtractErr(); err == nil {
		t.Fatal("an upload that breaks off succeeds")
	}
	eventually(t, time.Minute, "the image waits for data again", func() error {
		shown, err := images.Get(live(t), tenant.Image, id).Extract()
		if err == nil && shown.Status != images.ImageStatusQueued {
			err = fmt.Errorf("status is %s", shown.Status)
		}
		return err
	})
	eventually(t, 30*time.Second, "another upload succeeds", func() error {
		return imagedata.Upload(live(t), tenant.Image, id, data(size)).ExtractErr()
	})
	body := must(imagedata.Download(live(t), tenant.Image, id).Extract())(t)
	defer body.Close()
	if hashOf(t, body) != hashOf(t, data(size)) {
		t.Error("what comes back is something else")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// copyIn waits until the pod has the image with the same data.
func (p Pod) copyIn(id, hash string, within time.Duration) {
	p.t.Helper()
	eventually(p.t, within, "image "+id+" in "+p.Name, func() error {
		shown, err := images.Get(live(p.t), p.Image, id).Extract()
		switch {
		case err != nil:
			return err
		case shown.Status != images.ImageStatusActive:
			return fmt.Errorf("status is %s", shown.Status)
		case shown.Properties["os_hash_value"] != hash:
			return fmt.Errorf("its hash is %v", shown.Properties["os_hash_value"])
		}
		return nil
	})
}

// without is a pod that has not got the image.
func without(t *testing.T, id string) Pod {
	t.Helper()
	for _, p := range pods(t) {
		if _, err := images.Get(live(t), p.Image, id).Extract(); gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return p
		}
	}
	t.Fatalf("image %s is in each pod already", id)
	return Pod{}
}

// uploaded is an image of so many bytes, with their hash.
func (u *Tenant) uploaded(name string, size int64) (id, hash string) {
	u.t.Helper()
	id = u.emptyImage(name)
	must(0, imagedata.Upload(live(u.t), u.Image, id, data(size)).ExtractErr())(u.t)
	return id, hashOf(u.t, data(size))
}

// TestImageBootsElsewhere boots from an image in the zone of a pod that has not got it:
// the server is there at once, and the pod gets the image.
func TestImageBootsElsewhere(t *testing.T) {
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	id, hash := tenant.uploaded("boots-elsewhere", 30*megabyte)
	other := without(t, id)
	network := tenant.networkWithSubnet("boots-elsewhere", "10.99.0.0/24")
	server := tenant.createServer("boots-elsewhere", zoneOf(other), id, network)
	if shown := get[struct{ Server object }](t, tenant.Compute, "servers/"+server).Server; shown.text("status") != "BUILD" && shown.text("status") != "ACTIVE" {
		t.Errorf("the server is %s at first, want BUILD", shown.text("status"))
	}
	eventually(t, 3*time.Minute, "server ACTIVE", func() error { return tenant.isActive(server) })
	other.copyIn(id, hash, time.Minute)
	if said := must(region.tricircle("image", "where", id))(t); !strings.Contains(said, other.Name) {
		t.Errorf("tricircle image where does not name %s:\n%s", other.Name, said)
	}
	// What is true of the image is true of its copy.
	must(images.Update(live(t), tenant.Image, id, images.UpdateOpts{images.ReplaceImageName{NewName: "boots-anywhere"}}).Extract())(t)
	eventually(t, time.Minute, "the copy's name", func() error {
		shown, err := images.Get(live(t), other.Image, id).Extract()
		if err == nil && shown.Name != "boots-anywhere" {
			err = fmt.Errorf("it is %s", shown.Name)
		}
		return err
	})
	tenant.deleteServer(server)
}

func zoneOf(p Pod) string {
	for i, name := range podNames() {
		if name == p.Name {
			return fmt.Sprintf("az%d", i+1)
		}
	}
	return ""
}

// wantCopy asks, as an operator, for a copy of the image.
func wantCopy(t *testing.T, id string, p Pod) {
	t.Helper()
	out, err := region.tricircle("image", "copy", id, "--pod", p.Name)
	if err != nil {
		t.Fatalf("tricircle image copy: %v\n%s", err, out)
	}
}

// TestImageCopyFaults takes the pod away while an image is copied to it, and kills the
// program: in the end the copy is whole.
func TestImageCopyFaults(t *testing.T) {
	long(t)
	const size = 100 * megabyte
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	t.Run("pod away", func(t *testing.T) {
		tenant := login(t, "alt")
		id, hash := tenant.uploaded("copy-away", size)
		other := without(t, id)
		freeze(t, other.Name+"-glance*")
		wantCopy(t, id, other)
		time.Sleep(3 * time.Second) // the copy is tried, and cannot be
		if shown := must(images.Get(live(t), tenant.Image, id).Extract())(t); shown.Status != images.ImageStatusActive {
			t.Errorf("the image is %s while a pod hangs", shown.Status)
		}
		testbed(t, "stop", "--signal", "CONT", other.Name+"-glance*")
		other.copyIn(id, hash, 3*time.Minute)
	})
	t.Run("killed", func(t *testing.T) {
		tenant := login(t, "alt")
		id, hash := tenant.uploaded("copy-killed", size)
		other := without(t, id)
		wantCopy(t, id, other)
		for _, after := range []time.Duration{100, 500, 1500} {
			time.Sleep(after * time.Millisecond)
			region.crash(t)
		}
		other.copyIn(id, hash, 4*time.Minute)
	})
}

// TestImageDamaged spoils a byte of an image where its home keeps it. The copy that is
// then made of it has the right size and the wrong data: nobody gets it.
func TestImageDamaged(t *testing.T) {
	long(t)
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	id, _ := tenant.uploaded("damaged", megabyte)
	other := without(t, id)
	spoil(t, id)
	wantCopy(t, id, other)
	eventually(t, time.Minute, "the operator is told", func() error {
		said, err := region.tricircle("image", "where", id)
		if err == nil && !strings.Contains(said, "other data") && !strings.Contains(said, "another sha512") {
			err = errors.New(said)
		}
		return err
	})
	if shown := must(images.Get(live(t), other.Image, id).Extract())(t); shown.Status == images.ImageStatusActive {
		t.Errorf("the copy with other data is %s in %s", shown.Status, other.Name)
	}
}

// spoil changes a byte of the image in the store of the pod that has it.
func spoil(t *testing.T, id string) {
	t.Helper()
	stores := must(filepath.Glob(filepath.Join(testbedState(), "*/data/images", id)))(t)
	if len(stores) != 1 {
		t.Fatalf("image %s is in %v, want one store", id, stores)
	}
	f := must(os.OpenFile(stores[0], os.O_RDWR, 0))(t)
	defer f.Close()
	at := make([]byte, 1)
	must(f.ReadAt(at, megabyte/2))(t)
	at[0] ^= 0xff
	must(f.WriteAt(at, megabyte/2))(t)
}

// TestImageIsDeletedEverywhere deletes an image that two pods have while one is away.
func TestImageIsDeletedEverywhere(t *testing.T) {
	long(t)
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	id, hash := tenant.uploaded("deleted", megabyte)
	other := without(t, id)
	wantCopy(t, id, other)
	other.copyIn(id, hash, time.Minute)
	t.Run("away", func(t *testing.T) {
		freeze(t, other.Name+"-glance*")
		must(0, images.Delete(live(t), tenant.Image, id).ExtractErr())(t)
		if _, err := images.Get(live(t), tenant.Image, id).Extract(); !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			t.Errorf("the deleted image answers: %v", err)
		}
	})
	eventually(t, 2*time.Minute, "the copy is gone", func() error {
		_, err := images.Get(live(t), other.Image, id).Extract()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return nil
		}
		return fmt.Errorf("it is there: %v", err)
	})
}
