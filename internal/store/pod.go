package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// Pod is one OpenStack cloud behind Tricircle.
type Pod struct {
	Name    string `json:"name"`
	Region  string `json:"region"`   // its region in Keystone
	Zone    string `json:"zone"`     // the availability zone users see
	PodZone string `json:"pod_zone"` // what the pod calls it; empty: the pod's default
	// Cloud names the credentials: a cloud of the server's clouds.yaml, or
	// "env:PREFIX_" for OS_* variables with that prefix. Empty: Tricircle's own.
	Cloud     string `json:"cloud"`
	Interface string `json:"interface"`  // endpoint interface; default public
	DHCPPorts int    `json:"dhcp_ports"` // reserved per network: DHCP agents per network there
	Cordoned  bool   `json:"cordoned"`   // takes nothing new
	// Drift is what to do about things that were changed or deleted there by hand:
	// DriftReport or DriftRepair.
	Drift string `json:"drift"`
	// MessageBus says where the URL of the pod's message bus is, env:NAME or file:PATH.
	// Empty: its operator has not granted it.
	MessageBus string `json:"message_bus"`
	// Number is the pod's own, from 0, given by CreatePod and never given again; a
	// pod that returns under its name has it back.
	Number    int       `json:"number"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// What to do about drift.
const (
	DriftReport = "report" // the default
	DriftRepair = "repair"
)

const podColumns = `name, region, zone, pod_zone, cloud, interface, dhcp_ports, cordoned, drift, message_bus, created_at, updated_at`

// selectPods reads what scanPod wants.
const selectPods = `SELECT ` + podColumns + `, (SELECT number FROM pod_numbers WHERE pod_numbers.name = pods.name) FROM pods`

func scanPod(row scanner) (p Pod, err error) {
	err = row.Scan(&p.Name, &p.Region, &p.Zone, &p.PodZone, &p.Cloud, &p.Interface, &p.DHCPPorts,
		&p.Cordoned, &p.Drift, &p.MessageBus, intoTime(&p.CreatedAt), intoTime(&p.UpdatedAt), &p.Number)
	return p, err
}

func noPod(name string) error { return fault.New(fault.NotFound, "", "no pod %s", name) }

// CreatePod adds a pod and returns it as stored; fault.Conflict if the name is
// taken.
func (s *Store) CreatePod(ctx context.Context, p Pod) (Pod, error) {
	return s.createPod(ctx, p, func(*Tx) error { return nil })
}

// AddPod is CreatePod for one that gets what the other pods have.
func (s *Store) AddPod(ctx context.Context, p Pod) (Pod, error) {
	return s.createPod(ctx, p, func(tx *Tx) error { return welcomeTx(ctx, tx, p.Name) })
}

func (s *Store) createPod(ctx context.Context, p Pod, then func(*Tx) error) (Pod, error) {
	if p.Name == "" {
		return p, fault.New(fault.Invalid, "", "a pod needs a name")
	}
	if p.Interface == "" {
		p.Interface = "public"
	}
	if p.DHCPPorts == 0 {
		p.DHCPPorts = 1
	}
	if p.Drift == "" {
		p.Drift = DriftReport
	}
	err := s.write(ctx, func(tx *Tx) error {
		p.CreatedAt = tx.now().UTC().Truncate(time.Microsecond)
		p.UpdatedAt = p.CreatedAt
		_, err := tx.Exec(ctx, `INSERT INTO pods (`+podColumns+`) VALUES (`+marks(12)+`)`,
			p.Name, p.Region, p.Zone, p.PodZone, p.Cloud, p.Interface, p.DHCPPorts, p.Cordoned, p.Drift, p.MessageBus, p.CreatedAt, p.UpdatedAt)
		if duplicate(err) {
			return fault.New(fault.Conflict, "", "pod %s exists already", p.Name)
		}
		if err != nil {
			return err
		}
		if p.Number, err = podNumber(ctx, tx, p.Name); err != nil {
			return err
		}
		return then(tx)
	})
	return p, err
}

// podNumber gives the pod the next number, unless it has one.
func podNumber(ctx context.Context, tx *Tx, name string) (n int, err error) {
	if tx.postgres() { // two at once would read the same highest number
		if _, err := tx.Exec(ctx, `LOCK TABLE pod_numbers IN EXCLUSIVE MODE`); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO pod_numbers (name, number)
		SELECT ?, coalesce(max(number) + 1, 0) FROM pod_numbers WHERE true
		ON CONFLICT (name) DO NOTHING`, name)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `SELECT number FROM pod_numbers WHERE name = ?`, name).Scan(&n)
	return n, err
}

// UpdatePod has change edit the pod; its name and creation stay.
func (s *Store) UpdatePod(ctx context.Context, name string, change func(*Pod) error) (p Pod, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if p, err = findPod(ctx, tx, name, tx.forUpdate()); err != nil {
			return err
		}
		created, region := p.CreatedAt, p.Region
		if err := change(&p); err != nil {
			return err
		}
		p.Name, p.CreatedAt, p.UpdatedAt = name, created, tx.now().UTC().Truncate(time.Microsecond)
		_, err := tx.Exec(ctx, `
			UPDATE pods
			SET region = ?, zone = ?, pod_zone = ?, cloud = ?, interface = ?, dhcp_ports = ?, cordoned = ?, drift = ?, message_bus = ?, updated_at = ?
			WHERE name = ?`,
			p.Region, p.Zone, p.PodZone, p.Cloud, p.Interface, p.DHCPPorts, p.Cordoned, p.Drift, p.MessageBus, p.UpdatedAt, name)
		if err != nil || p.Region == region {
			return err
		}
		// Another cloud: what it has in common with others is found out anew.
		return errors.Join(leavePodTx(ctx, tx, name), welcomeTx(ctx, tx, name))
	})
	return p, err
}

// DeletePod removes a pod. It is fault.Conflict, with the counts per kind, while
// servers or volumes are there, or one is being created.
//
// What Tricircle has made there for servers that are gone (networks, groups) is
// cleared away first, by jobs: a cordoned pod begins to be cleared, and the
// fault.Conflict says so; once they are done the pod can be removed.
func (s *Store) DeletePod(ctx context.Context, name string) error {
	var clearing []string
	err := s.write(ctx, func(tx *Tx) error {
		// The lock keeps new mappings, which refer to the row, away until the end.
		p, err := findPod(ctx, tx, name, tx.forUpdate())
		if err != nil {
			return err
		}
		used, err := podUse(ctx, tx, name)
		if err != nil {
			return err
		}
		if used.tenants() || len(used) > 0 && !p.Cordoned {
			return fault.New(fault.Conflict, "", "pod %s still has %s%s", name, used, used.hint())
		}
		if err := checkNoGateway(ctx, tx, name); err != nil {
			return err
		}
		if clearing, err = clearPod(ctx, tx, name); err != nil || len(clearing) > 0 {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM pods WHERE name = ?`, name)
		return err
	})
	if err == nil && len(clearing) > 0 {
		return fault.New(fault.Conflict, "", "pod %s is being cleared of %s; it can be removed when its jobs are done",
			name, strings.Join(clearing, ", "))
	}
	return err
}

// checkNoGateway refuses to remove a pod by which routers reach the outside.
func checkNoGateway(ctx context.Context, tx *Tx, pod string) error {
	var used int
	err := tx.QueryRow(ctx, `
		SELECT count(*) FROM routers r
		JOIN mappings m ON m.kind = 'network' AND m.id = r.gateway_network
		WHERE m.pod = ? AND m.wanted = 1`, pod).Scan(&used)
	if err == nil && used > 0 {
		err = fault.New(fault.Conflict, "", "pod %s still has the gateways of %s", pod, count(used, KindRouter))
	}
	return err
}

// clearPod forgets what was only seen in the pod and has jobs remove what was
// made there. It returns what is left until they have.
func clearPod(ctx context.Context, tx *Tx, pod string) ([]string, error) {
	if _, err := tx.Exec(ctx, `DELETE FROM entries WHERE pod = ? AND kind = ?`, pod, KindImage); err != nil {
		return nil, err
	}
	if err := leavePodTx(ctx, tx, pod); err != nil {
		return nil, err
	}
	reserved, err := list(ctx, tx, scanString, `SELECT id FROM ports WHERE pod = ? AND device_owner = ?`, pod, topology.OwnerDHCP)
	if err != nil {
		return nil, err
	}
	for _, id := range reserved {
		if err := deletePort(ctx, tx, id); err != nil {
			return nil, err
		}
	}
	made, err := list(ctx, tx, scanTarget, `
		UPDATE mappings
		SET wanted = 0, generation = generation + 1, reason = '', updated_at = ?
		WHERE pod = ? AND wanted = 1
		RETURNING kind, id, pod`, tx.now(), pod)
	if err != nil {
		return nil, err
	}
	if err := enqueue(ctx, tx, inOrder(made)...); err != nil {
		return nil, err
	}
	for _, t := range made {
		var err error
		switch t.Kind {
		case KindRouter:
			err = spanRouter(ctx, tx, t.ID)
		case KindPort: // the other pods need not let it in any more
			err = portPlacedTx(ctx, tx, t.ID, pod)
		}
		if err != nil {
			return nil, err
		}
	}
	left, err := podUse(ctx, tx, pod)
	return left.words(), err
}

func scanTarget(row scanner) (t Target, err error) {
	err = row.Scan(&t.Kind, &t.ID, &t.Pod)
	return t, err
}

// use is how many things of a kind a pod has.
type use struct {
	kind string
	n    int
}

type uses []use

// tenants says that somebody's things are there, not only what Tricircle made
// around them.
func (u uses) tenants() bool {
	return slices.ContainsFunc(u, func(of use) bool {
		return of.kind == KindServer || of.kind == KindVolume || of.kind == KindIntent
	})
}

func (u uses) hint() string {
	if u.tenants() {
		return ""
	}
	return "; cordon it, then remove it again to clear them away"
}

func (u uses) words() []string {
	out := make([]string, 0, len(u))
	for _, of := range u {
		out = append(out, count(of.n, of.kind))
	}
	return out
}

func (u uses) String() string { return strings.Join(u.words(), ", ") }

// shared are the kinds that other pods have too: a pod keeps them when it leaves.
var shared = append([]any{KindImage, KindCatalog}, replicated...)

// Shared says that other pods have things of the kind too.
func Shared(kind string) bool { return slices.Contains(shared, any(kind)) }

// leavePodTx forgets what the pod has in common with others.
func leavePodTx(ctx context.Context, tx *Tx, pod string) error {
	if err := leaveHomesTx(ctx, tx, pod); err != nil {
		return err
	}
	gone, err := list(ctx, tx, scanTarget, `
		DELETE FROM mappings
		WHERE pod = ? AND kind IN (`+marks(len(shared))+`)
		RETURNING kind, id, pod`, append([]any{pod}, shared...)...)
	if err != nil {
		return err
	}
	for _, t := range gone {
		var left int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM mappings WHERE kind = ? AND id = ?`, t.Kind, t.ID).Scan(&left); err != nil {
			return err
		}
		if left > 0 {
			continue
		}
		if err := releaseTx(ctx, tx, t.Kind, t.ID); err != nil {
			return err
		}
	}
	return nil
}

// podUse counts what is in the pod: "3 networks" and so on. An index entry
// without a mapping counts too, as does a creation under way. What other pods
// have too does not.
func podUse(ctx context.Context, tx *Tx, pod string) (uses, error) {
	return list(ctx, tx, scanUse, `
		SELECT kind, count(*) FROM (
			SELECT kind, id FROM mappings WHERE pod = ?
			UNION
			SELECT kind, id FROM entries WHERE pod = ?
			UNION
			SELECT 'intent', id FROM intents WHERE pod = ?
		) AS used
		WHERE kind NOT IN (`+marks(len(shared))+`)
		GROUP BY kind
		ORDER BY kind`, append([]any{pod, pod, pod}, shared...)...)
}

func scanUse(row scanner) (u use, err error) {
	err = row.Scan(&u.kind, &u.n)
	return u, err
}

func count(n int, kind string) string {
	words := strings.ReplaceAll(kind, "_", " ")
	if kind == KindIntent {
		words = "unfinished creation"
	}
	if n != 1 {
		words += "s"
	}
	return fmt.Sprintf("%d %s", n, words)
}

// FindPod returns the pod, or fault.NotFound.
func (s *Store) FindPod(ctx context.Context, name string) (Pod, error) {
	return findPod(ctx, s.reader(), name, "")
}

func findPod(ctx context.Context, tx *Tx, name, suffix string) (Pod, error) {
	return find(ctx, tx, noPod(name), scanPod, selectPods+` WHERE name = ?`+suffix, name)
}

// ListPods lists all pods by name.
func (s *Store) ListPods(ctx context.Context) ([]Pod, error) {
	return list(ctx, s.reader(), scanPod, selectPods+` ORDER BY name`)
}
