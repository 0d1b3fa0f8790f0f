//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestClientVolumeResources walks with the client through what Block Storage has: made,
// listed, shown, changed, deleted; and refused where it must be.
func TestClientVolumeResources(t *testing.T) {
	leavesNothing(t, login(t, "alt"))
	user, admin := session(t, "alt"), session(t, "admin")
	for _, part := range []struct {
		name string
		walk func(user, admin Client)
	}{
		{"volumes", walkVolumes}, {"snapshots", walkSnapshots}, {"transfers", walkTransfers}, {"types", walkVolumeTypes}, {"qos", walkVolumeQoS},
		{"groups", walkVolumeGroups}, {"attachments", walkAttachments}, {"backups", walkBackups}, {"quotas", walkVolumeQuotas},
		{"operators", walkVolumeOperators},
	} {
		t.Run(part.name, func(t *testing.T) { part.walk(user.in(t), admin.in(t)) })
	}
}

// available waits for a volume, a snapshot or a backup.
func (c Client) available(kind, name string) {
	c.t.Helper()
	eventually(c.t, 2*time.Minute, kind+" "+name+" available", func() error {
		if got := c.show(kind + " show " + name).text("status"); got != "available" {
			return fmt.Errorf("status is %s", got)
		}
		return nil
	})
}

// volumeGone deletes and waits: Cinder's answer comes before the deed.
func (c Client) volumeGone(kind, name string) {
	c.t.Helper()
	c.run(kind + " delete " + name)
	eventually(c.t, time.Minute, kind+" "+name+" gone", func() error {
		if slices.Contains(c.list(kind+" list", "Name"), name) {
			return fmt.Errorf("it is listed")
		}
		return nil
	})
}

func (c Client) makeVolume(rest, name string) {
	c.t.Helper()
	c.run("volume create " + rest + " " + name)
	c.t.Cleanup(func() { c.volumeGone("volume", name) })
	c.available("volume", name)
}

func walkVolumes(user, admin Client) {
	for _, zone := range []string{"az1", "az2"} {
		user.makeVolume("--size 1 --property colour=red --description one --availability-zone "+zone, "walk-"+zone)
		user.wantShown("volume show walk-"+zone, "availability_zone", zone)
	}
	user.makeVolume("--source walk-az2", "walk-clone")
	user.wantShown("volume show walk-clone", "availability_zone", "az2")
	user.wantListed("volume list", "Name", "walk-az1", "walk-az2", "walk-clone")
	user.wantListed("volume list --long --status available", "Name", "walk-az1")
	user.wantListed("volume list --name walk-az1", "Name", "walk-az1")
	if got := user.list("volume list --limit 1", "ID"); len(got) != 1 {
		user.t.Errorf("a page of one has %v", got)
	}
	user.run("volume set --name walk-az1 --description two --property shape=round walk-az1")
	if got := fmt.Sprint(user.show("volume show walk-az1")["properties"]); got != "map[colour:red shape:round]" {
		user.t.Errorf("properties are %s, want just colour and shape", got)
	}
	user.run("volume unset --property shape walk-az1")
	user.run("volume set --bootable walk-az1")
	user.wantShown("volume show walk-az1", "bootable", "true")
	user.run("volume set --read-only walk-az1")
	id := user.show("volume show walk-az1").text("id")
	admin.run("volume set --state error " + id)
	user.wantShown("volume show walk-az1", "status", "error")
	admin.run("volume set --state available " + id)
	admin.wantListed("volume list --all-projects --project alt", "Name", "walk-az1", "walk-az2")
	user.refused("volume set --state error walk-az1")
	user.refused("volume create --size 1 --availability-zone nowhere walk-nowhere")
	user.refused("volume create --size 1 --type nosuch walk-nosuch")
	user.refused("volume show walk-nowhere")
	if said := user.refused("volume create --source walk-az1 --size 0 walk-less"); said == "" {
		user.t.Error("a volume without room is refused without a word")
	}
}

func walkSnapshots(user, admin Client) {
	user.makeVolume("--size 1 --availability-zone az2", "walk-snapped")
	user.run("volume snapshot create --volume walk-snapped --description one --property colour=red walk-snap")
	user.t.Cleanup(func() { user.volumeGone("volume snapshot", "walk-snap") })
	user.available("volume snapshot", "walk-snap")
	user.wantListed("volume snapshot list --volume walk-snapped", "Name", "walk-snap")
	user.run("volume snapshot set --description two --property shape=round walk-snap")
	user.wantShown("volume snapshot show walk-snap", "description", "two")
	user.run("volume snapshot unset --property shape walk-snap")
	admin.wantListed("volume snapshot list --all-projects", "Name", "walk-snap")
	user.refused("volume delete walk-snapped")
	user.run("volume create --snapshot walk-snap walk-of-snap")
	user.available("volume", "walk-of-snap")
	user.wantShown("volume show walk-of-snap", "availability_zone", "az2")
	user.volumeGone("volume", "walk-of-snap")
}

// walkTransfers gives a volume to another project, with all that counts it.
func walkTransfers(user, admin Client) {
	user.run("volume create --size 1 --availability-zone az2 walk-gift")
	user.available("volume", "walk-gift")
	id := user.show("volume show walk-gift").text("id")
	demo := session(user.t, "demo")
	given := user.show("volume transfer request create --name walk-transfer walk-gift")
	user.wantListed("volume transfer request list", "Name", "walk-transfer")
	user.wantShown("volume show walk-gift", "status", "awaiting-transfer")
	demo.refused("volume transfer request accept --auth-key wrong " + given.text("id"))
	demo.run("volume transfer request accept --auth-key " + given.text("auth_key") + " " + given.text("id"))
	user.wantNotListed("volume list", "Name", "walk-gift")
	user.refused("volume show " + id)
	demo.wantShown("volume show "+id, "status", "available")
	admin.wantShown("volume show "+id, "availability_zone", "az2")
	demo.run("volume delete " + id)
	user.run("volume create --size 1 --availability-zone az1 walk-gift")
	user.available("volume", "walk-gift")
	user.run("volume transfer request create --name walk-kept walk-gift")
	user.run("volume transfer request delete walk-kept")
	user.available("volume", "walk-gift")
	user.volumeGone("volume", "walk-gift")
}

func walkVolumeTypes(user, admin Client) {
	// With a scope, so that no back end has to have them.
	admin.run("volume type create --description one --property walk:colour=red walk-type")
	admin.atEnd("volume type delete walk-type")
	admin.run("volume type create --private --project alt walk-private")
	admin.atEnd("volume type delete walk-private")
	user.wantListed("volume type list", "Name", "walk-type", "walk-private")
	admin.run("volume type set --description two --property walk:shape=round walk-type")
	admin.run("volume type unset --property walk:colour walk-type")
	if got := fmt.Sprint(admin.show("volume type show walk-type")["properties"]); got != "map[walk:shape:round]" {
		admin.t.Errorf("properties of the type are %s", got)
	}
	id := admin.show("volume type show walk-type").text("id")
	for _, pod := range pods(admin.t) { // where it has an ID of its own
		eventually(admin.t, time.Minute, "the type in "+pod.Name, func() error {
			for _, of := range pod.list(pod.Volume, "types?is_public=None", "volume_types") {
				if of.text("name") == "walk-type" && of.text("description") == "two" {
					return nil
				}
			}
			return fmt.Errorf("it is not there")
		})
	}
	for _, zone := range []string{"az1", "az2"} {
		user.makeVolume("--size 1 --type walk-type --availability-zone "+zone, "walk-typed-"+zone)
		user.wantShown("volume show walk-typed-"+zone, "type", "walk-type")
	}
	admin.refused("volume type delete walk-type") // it is in use
	admin.wantShown("volume type show "+id, "name", "walk-type")
	admin.run("volume type set --encryption-provider luks --encryption-control-location front-end walk-private")
	if got := fmt.Sprint(admin.show("volume type show --encryption-type walk-private")["encryption"]); !strings.Contains(got, "luks") {
		admin.t.Errorf("the type's encryption is %s", got)
	}
	admin.run("volume type unset --encryption-type walk-private")
	user.refused("volume type create walk-mine")
}

func walkVolumeQoS(user, admin Client) {
	admin.run("volume qos create --consumer front-end --property read_iops_sec=100 walk-qos")
	admin.atEnd("volume qos delete --force walk-qos")
	admin.run("volume type create walk-qos-type")
	admin.atEnd("volume type delete walk-qos-type")
	admin.wantListed("volume qos list", "Name", "walk-qos")
	admin.run("volume qos set --property write_iops_sec=50 walk-qos")
	admin.run("volume qos associate walk-qos walk-qos-type")
	if got := fmt.Sprint(admin.show("volume qos show walk-qos")["associations"]); !strings.Contains(got, "walk-qos-type") {
		admin.t.Errorf("associations are %s", got)
	}
	admin.run("volume qos disassociate --all walk-qos")
	admin.run("volume qos unset --property write_iops_sec walk-qos")
	user.refused("volume qos create walk-mine")
}

func walkVolumeGroups(user, admin Client) {
	admin.run("volume type create walk-group-type")
	admin.atEnd("volume type delete walk-group-type")
	admin.run("volume group type create walk-groups")
	admin.atEnd("volume group type delete walk-groups")
	admin.run("volume group type set --description two walk-groups")
	user.wantListed("volume group type list", "Name", "walk-groups")
	// This client finds types of volumes by ID only.
	kind := admin.show("volume type show walk-group-type").text("id")
	user.run("volume group create --name walk-group --availability-zone az2 walk-groups " + kind)
	// Nor can it show a group.
	eventually(user.t, time.Minute, "the group is there", func() error {
		if !slices.Contains(user.list("volume group list", "Status"), "available") {
			return fmt.Errorf("it is not available")
		}
		return nil
	})
	user.wantListed("volume group list", "Name", "walk-group")
	user.run("volume group set --description two walk-group")
	user.run("volume group delete --force walk-group")
	eventually(user.t, time.Minute, "the group is gone", func() error {
		if slices.Contains(user.list("volume group list", "Name"), "walk-group") {
			return fmt.Errorf("it is listed")
		}
		return nil
	})
}

func walkAttachments(user, _ Client) {
	user.makeVolume("--size 1 --availability-zone az1", "walk-attached")
	user.wantNotListed("volume attachment list", "Volume ID", user.show("volume show walk-attached").text("id"))
	user.refused("volume attachment show 11111111-2222-4333-8444-555555555555")
	user.run("volume message list")
}

// walkBackups is refused, or made, as the pods' own service allows.
func walkBackups(user, admin Client) {
	user.run("volume backup list")
	if up := admin.list("volume service list --service cinder-backup", "State"); len(up) == 0 || slices.Contains(up, "down") {
		user.makeVolume("--size 1 --availability-zone az1", "walk-not-backed")
		user.refused("volume backup create --name walk-backup walk-not-backed")
		return
	}
	user.makeVolume("--size 1 --type files --availability-zone az1", "walk-backed")
	user.run("volume backup create --name walk-backup --description one walk-backed")
	user.t.Cleanup(func() { user.volumeGone("volume backup", "walk-backup") })
	user.available("volume backup", "walk-backup")
	user.wantListed("volume backup list --status available", "Name", "walk-backup")
	user.run("volume backup set --name walk-backup --description two walk-backup")
	user.wantShown("volume backup show walk-backup", "description", "two")
	if *storageToo { // it takes as long as a disk takes to be written
		user.ask("volume backup restore --force walk-backup walk-backed") // of which this client cannot show the answer
		user.available("volume backup", "walk-backup")
		user.available("volume", "walk-backed")
	}
}

func walkVolumeQuotas(user, admin Client) {
	project := login(admin.t, "alt").Project
	restore := func() { admin.run("quota set --volumes 10 --gigabytes 1000 " + project) }
	admin.t.Cleanup(restore)
	used := len(user.list("volume list", "ID"))
	admin.run(fmt.Sprintf("quota set --volumes %d %s", used+1, project))
	user.wantShown("quota show", "volumes", fmt.Sprint(used+1))
	user.makeVolume("--size 1 --availability-zone az2", "walk-last") // which the other pod does not count
	if said := user.refused("volume create --size 1 --availability-zone az1 walk-too-many"); !strings.Contains(said, "VolumeLimitExceeded") {
		user.t.Errorf("one volume too many is refused with %q, want Cinder's words", said)
	}
	admin.run("quota list --volume --detail")
	user.refused("quota set --volumes 1000 " + project)
	user.wantListed("limits show --absolute", "Name", "maxTotalVolumes", "totalVolumesUsed")
}

func walkVolumeOperators(user, admin Client) {
	if got := admin.list("volume service list --service cinder-volume", "Host"); len(got) < 2 {
		admin.t.Errorf("services: %v, want those of two pods", got)
	}
	user.refused("volume service list")
	user.wantListed("availability zone list --volume", "Zone Name", "az1", "az2")
	admin.run("volume list --all-projects")
	user.refused("volume migrate --host nosuch walk-az1")
}
