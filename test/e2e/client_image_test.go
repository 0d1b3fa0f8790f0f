//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestClientImages walks with the client through what Image has.
func TestClientImages(t *testing.T) {
	leavesNothing(t, login(t, "alt"))
	user, admin, demo := session(t, "alt"), session(t, "admin"), session(t, "demo")
	file := filepath.Join(t.TempDir(), "image")
	data := bytes.Repeat([]byte("walk "), 100_000)
	must(0, os.WriteFile(file, data, 0o600))(t)

	user.run("image create --disk-format raw --file " + file + " --property colour=red --tag blue walk-image")
	t.Cleanup(func() { user.in(t).run("image delete walk-image") })
	user.run("image create --disk-format raw --import --file " + file + " walk-imported")
	user.atEnd("image delete walk-imported")
	user.imageIs("walk-imported", "active")
	for _, name := range []string{"walk-image", "walk-imported"} {
		back := filepath.Join(t.TempDir(), name)
		user.run("image save --file " + back + " " + name)
		if !bytes.Equal(must(os.ReadFile(back))(t), data) {
			t.Errorf("%s comes back as something else", name)
		}
	}
	for _, part := range []struct {
		name string
		walk func(user, admin, other Client)
	}{
		{"lists", walkImageLists}, {"changes", walkImageChanges}, {"members", walkImageMembers}, {"state", walkImageState},
	} {
		t.Run(part.name, func(t *testing.T) { part.walk(user.in(t), admin.in(t), demo.in(t)) })
	}
}

func (c Client) imageIs(name, status string) {
	c.t.Helper()
	eventually(c.t, time.Minute, "image "+name+" "+status, func() error {
		if got := c.show("image show " + name).text("status"); got != status {
			return fmt.Errorf("status is %s", got)
		}
		return nil
	})
}

func walkImageLists(user, _, _ Client) {
	user.wantListed("image list", "Name", "walk-image", "walk-imported")
	user.wantListed("image list --private --status active", "Name")
	user.wantListed("image list --tag blue", "Name", "walk-image")
	user.wantNotListed("image list --tag blue", "Name", "walk-imported")
	user.wantListed("image list --property colour=red --long", "Name", "walk-image")
	user.wantListed("image list --name walk-image --sort name:asc", "Name", "walk-image")
	if got := user.list("image list --limit 1", "ID"); len(got) == 0 {
		user.t.Error("a page of one has nothing")
	}
	all := user.list("image list", "ID")
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		user.t.Errorf("an image is listed twice: %v", all)
	}
}

func walkImageChanges(user, _, _ Client) {
	user.run("image set --property shape=round --tag green --min-ram 64 --os-distro debian walk-image")
	image := user.wantShown("image show walk-image", "min_ram", "64")
	properties, _ := image["properties"].(map[string]any)
	if properties["shape"] != "round" || properties["colour"] != "red" || properties["os_distro"] != "debian" {
		user.t.Errorf("properties are %v", properties)
	}
	if got := fmt.Sprint(image["tags"]); !strings.Contains(got, "blue") || !strings.Contains(got, "green") {
		user.t.Errorf("tags are %s", got)
	}
	user.run("image unset --property shape --tag green walk-image")
	user.run("image set --hidden walk-image")
	user.wantNotListed("image list", "Name", "walk-image")
	user.wantListed("image list --hidden", "Name", "walk-image")
	user.run("image set --unhidden walk-image")
	user.run("image set --protected walk-image")
	user.refused("image delete walk-image")
	user.run("image set --unprotected walk-image")
	user.refused("image set --public walk-image")
	user.refused("image show walk-nowhere")
}

func walkImageMembers(user, admin, other Client) {
	id := user.show("image show walk-image").text("id")
	project := login(user.t, "demo").Project
	other.refused("image show " + id)
	user.run("image set --shared walk-image")
	user.run("image add project walk-image " + project)
	user.wantListed("image member list walk-image", "Member ID", project)
	other.wantShown("image show "+id, "status", "active")
	other.wantNotListed("image list --shared", "ID", id) // it is not accepted yet
	other.run("image set --accept " + id)
	other.wantListed("image list --shared", "ID", id)
	other.refused("image set --name mine " + id)
	other.refused("image delete " + id)
	user.run("image remove project walk-image " + project)
	other.refused("image show " + id)
	user.run("image set --private walk-image")
	admin.wantShown("image show "+id, "visibility", "private")
}

func walkImageState(user, admin, _ Client) {
	id := user.show("image show walk-image").text("id")
	admin.run("image set --deactivate " + id)
	user.wantShown("image show walk-image", "status", "deactivated")
	user.refused("image save --file /dev/null walk-image")
	admin.run("image set --activate " + id)
	user.wantShown("image show walk-image", "status", "active")
}
