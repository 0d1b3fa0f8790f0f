package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Pod is one OpenStack cloud behind Tricircle.
type Pod struct {
	Name    string `json:"name"`
	Region  string `json:"region"`   // its region in Keystone
	Zone    string `json:"zone"`     // the availability zone users see
	PodZone string `json:"pod_zone"` // what the pod calls it; empty: the pod's default
	// Cloud names the credentials: a cloud of the server's clouds.yaml, or
	// "env:PREFIX_" for OS_* variables with that prefix. Empty: Tricircle's own.
	Cloud     string    `json:"cloud"`
	Interface string    `json:"interface"`  // endpoint interface; default public
	DHCPPorts int       `json:"dhcp_ports"` // reserved per network: DHCP agents per network there
	Cordoned  bool      `json:"cordoned"`   // takes nothing new
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

const podColumns = `name, region, zone, pod_zone, cloud, interface, dhcp_ports, cordoned, created_at, updated_at`

func scanPod(row scanner) (p Pod, err error) {
	err = row.Scan(&p.Name, &p.Region, &p.Zone, &p.PodZone, &p.Cloud, &p.Interface, &p.DHCPPorts,
		&p.Cordoned, intoTime(&p.CreatedAt), intoTime(&p.UpdatedAt))
	return p, err
}

func noPod(name string) error { return fault.New(fault.NotFound, "", "no pod %s", name) }

// CreatePod adds a pod and returns it as stored; fault.Conflict if the name is
// taken.
func (s *Store) CreatePod(ctx context.Context, p Pod) (Pod, error) {
	if p.Name == "" {
		return p, fault.New(fault.Invalid, "", "a pod needs a name")
	}
	if p.Interface == "" {
		p.Interface = "public"
	}
	if p.DHCPPorts == 0 {
		p.DHCPPorts = 1
	}
	err := s.write(ctx, func(tx *Tx) error {
		p.CreatedAt = tx.now().UTC().Truncate(time.Microsecond)
		p.UpdatedAt = p.CreatedAt
		_, err := tx.Exec(ctx, `INSERT INTO pods (`+podColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.Name, p.Region, p.Zone, p.PodZone, p.Cloud, p.Interface, p.DHCPPorts, p.Cordoned, p.CreatedAt, p.UpdatedAt)
		if duplicate(err) {
			return fault.New(fault.Conflict, "", "pod %s exists already", p.Name)
		}
		return err
	})
	return p, err
}

// UpdatePod has change edit the pod; its name and creation stay.
func (s *Store) UpdatePod(ctx context.Context, name string, change func(*Pod) error) (p Pod, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if p, err = findPod(ctx, tx, name, tx.forUpdate()); err != nil {
			return err
		}
		created := p.CreatedAt
		if err := change(&p); err != nil {
			return err
		}
		p.Name, p.CreatedAt, p.UpdatedAt = name, created, tx.now().UTC().Truncate(time.Microsecond)
		_, err := tx.Exec(ctx, `
			UPDATE pods
			SET region = ?, zone = ?, pod_zone = ?, cloud = ?, interface = ?, dhcp_ports = ?, cordoned = ?, updated_at = ?
			WHERE name = ?`,
			p.Region, p.Zone, p.PodZone, p.Cloud, p.Interface, p.DHCPPorts, p.Cordoned, p.UpdatedAt, name)
		return err
	})
	return p, err
}

// DeletePod removes a pod that has nothing of ours any more; otherwise it is
// fault.Conflict with the counts per kind.
func (s *Store) DeletePod(ctx context.Context, name string) error {
	return s.write(ctx, func(tx *Tx) error {
		// The lock keeps new mappings, which refer to the row, away until the end.
		if _, err := findPod(ctx, tx, name, tx.forUpdate()); err != nil {
			return err
		}
		used, err := podUse(ctx, tx, name)
		if err != nil {
			return err
		}
		if len(used) > 0 {
			return fault.New(fault.Conflict, "", "pod %s still has %s", name, strings.Join(used, ", "))
		}
		_, err = tx.Exec(ctx, `DELETE FROM pods WHERE name = ?`, name)
		return err
	})
}

// podUse counts what is in the pod: "3 networks" and so on. An index entry
// without a mapping counts too, as does a creation under way.
func podUse(ctx context.Context, tx *Tx, pod string) ([]string, error) {
	return list(ctx, tx, scanUse, `
		SELECT kind, count(*) FROM (
			SELECT kind, id FROM mappings WHERE pod = ?
			UNION
			SELECT kind, id FROM entries WHERE pod = ?
			UNION
			SELECT 'intent', id FROM intents WHERE pod = ?
		) AS used
		GROUP BY kind
		ORDER BY kind`, pod, pod, pod)
}

func scanUse(row scanner) (string, error) {
	var kind string
	var n int
	err := row.Scan(&kind, &n)
	return count(n, kind), err
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
	return find(ctx, tx, noPod(name), scanPod, `SELECT `+podColumns+` FROM pods WHERE name = ?`+suffix, name)
}

// ListPods lists all pods by name.
func (s *Store) ListPods(ctx context.Context) ([]Pod, error) {
	return list(ctx, s.reader(), scanPod, `SELECT `+podColumns+` FROM pods ORDER BY name`)
}
