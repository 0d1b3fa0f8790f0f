package store

import (
	"context"
	"fmt"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/topology"
)

// Intent is the journal of one server creation: written before the pod is asked,
// settled with the index entry. ID is the mark that the server carries in its
// metadata, so that a crash between the call and the record leaves nothing
// unaccounted for.
type Intent struct {
	ID        string
	Kind      string
	Pod       string
	ProjectID string
	UserID    string
	Name      string
	Zone      string
	// ServerGroup is ours that the server is to join; empty: none. From Begin on
	// the group is in the intent's pod.
	ServerGroup string
	Ports       []string // central ports made for or used by it
	CreatedAt   time.Time
	// DecisionID is the decision that led to it; empty: none is kept.
	DecisionID string
	Size       quota.Size // counts against the quota until the server is in the index
	// Grant is the grant out of which it is admitted, if several were admitted at
	// once; not kept.
	Grant string
}

// Target is the job that looks after the intent if its maker does not.
func (in Intent) Target() Target { return Target{Kind: KindIntent, ID: in.ID, Pod: in.Pod} }

const intentColumns = `id, kind, pod, project_id, user_id, name, zone, server_group, created_at, decision_id, vcpus, ram`

func scanIntent(row scanner) (in Intent, err error) {
	err = row.Scan(&in.ID, &in.Kind, &in.Pod, &in.ProjectID, &in.UserID, &in.Name, &in.Zone, &in.ServerGroup,
		intoTime(&in.CreatedAt), &in.DecisionID, &in.Size.VCPUs, &in.Size.RAM)
	return in, err
}

// Begin admits the server to the quota, writes the intent, makes the ports that
// the server is to have for itself (all of them or nothing is done), adds them to the intent's, and leaves a job
// that looks after it later. fault.OverQuota if the project may have no more;
// fault.Conflict if a port already serves another server or creation, or, with
// the code GroupElsewhere, if the server's group is in another pod.
func (s *Store) Begin(ctx context.Context, in Intent, auto ...topology.PortSpec) (made []topology.Port, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if err := admitServerTx(ctx, tx, in); err != nil {
			return err
		}
		ports := in.Ports[:len(in.Ports):len(in.Ports)]
		if err := freePortsTx(ctx, tx, ports); err != nil {
			return err
		}
		if made, err = createPortsTx(ctx, tx, auto); err != nil {
			return err
		}
		for _, p := range made {
			ports = append(ports, p.ID)
		}
		return beginTx(ctx, tx, in, ports)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func beginTx(ctx context.Context, tx *Tx, in Intent, ports []string) error {
	_, err := tx.Exec(ctx, `INSERT INTO intents (`+intentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		in.ID, in.Kind, in.Pod, in.ProjectID, in.UserID, in.Name, in.Zone, in.ServerGroup, tx.now(), in.DecisionID, in.Size.VCPUs, in.Size.RAM)
	if dangling(err) {
		return noPod(in.Pod)
	}
	if err != nil {
		return fmt.Errorf("cannot journal the creation of %s %s: %w", in.Kind, in.Name, err)
	}
	for i, port := range ports {
		_, err := tx.Exec(ctx, `INSERT INTO intent_ports (port_id, intent_id, position) VALUES (?, ?, ?)`, port, in.ID, i)
		if duplicate(err) {
			return fault.New(fault.Conflict, "PortInUse", "port %s is in use by another creation", port)
		}
		if err != nil {
			return err
		}
	}
	if err := joinGroupTx(ctx, tx, in); err != nil {
		return err
	}
	return enqueue(ctx, tx, in.Target())
}

// Settle ends the intent well: the server is in the index, its mapping is made,
// its ports carry its ID. If the intent is gone it succeeds when the server is
// in the index, that is, when somebody else settled it; otherwise it was
// abandoned, and that is fault.NotFound.
func (s *Store) Settle(ctx context.Context, intentID string, e Entry) error {
	return s.write(ctx, func(tx *Tx) error {
		in, err := findIntent(ctx, tx, intentID, tx.forUpdate())
		if fault.Is(err, fault.NotFound) {
			_, settled := findMapping(ctx, tx, e.Target(), "")
			if fault.Is(settled, fault.NotFound) {
				return err
			}
			return settled
		}
		if err != nil {
			return err
		}
		if !e.Size.Known() {
			e.Size = in.Size
		}
		if err := recordTx(ctx, tx, e); err != nil {
			return err
		}
		if err := attachPortsTx(ctx, tx, in.Ports, e.ID, topology.OwnerCompute+e.Zone); err != nil {
			return err
		}
		if err := decidedTx(ctx, tx, in.DecisionID, e.ID); err != nil {
			return err
		}
		if err := memberTx(ctx, tx, in.ServerGroup, e.ID); err != nil {
			return err
		}
		return dropIntent(ctx, tx, intentID)
	})
}

// Abandon ends an intent that made nothing: the ports made for it go, the user's
// own leave the pod, and so does a server group that has nothing else there. An
// intent that is gone is no error.
func (s *Store) Abandon(ctx context.Context, intentID string) error {
	return s.abandon(ctx, intentID, func(tx *Tx, in Intent) error {
		if err := deleteAutoPortsTx(ctx, tx, in.Ports); err != nil {
			return err
		}
		for _, port := range in.Ports {
			if _, err := unwantTx(ctx, tx, KindPort, port); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) abandon(ctx context.Context, intentID string, free func(*Tx, Intent) error) error {
	return s.write(ctx, func(tx *Tx) error {
		in, err := findIntent(ctx, tx, intentID, tx.forUpdate())
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := dropIntent(ctx, tx, intentID); err != nil {
			return err
		}
		if err := free(tx, in); err != nil {
			return err
		}
		return freeGroupTx(ctx, tx, in.ServerGroup)
	})
}

func dropIntent(ctx context.Context, tx *Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM intent_ports WHERE intent_id = ?`, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM intents WHERE id = ?`, id)
	return err
}

// FindIntent returns the intent, or fault.NotFound.
func (s *Store) FindIntent(ctx context.Context, id string) (in Intent, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		in, err = findIntent(ctx, tx, id, "")
		return err
	})
	return in, err
}

func findIntent(ctx context.Context, tx *Tx, id, suffix string) (Intent, error) {
	in, err := find(ctx, tx, fault.New(fault.NotFound, "", "no intent %s", id), scanIntent, `
		SELECT `+intentColumns+` FROM intents
		WHERE id = ?`+suffix, id)
	if err != nil {
		return in, err
	}
	in.Ports, err = list(ctx, tx, scanString, `
		SELECT port_id FROM intent_ports
		WHERE intent_id = ?
		ORDER BY position`, id)
	return in, err
}

// ListIntents lists the intents begun before the time, the oldest first, without
// their ports.
func (s *Store) ListIntents(ctx context.Context, before time.Time) ([]Intent, error) {
	return list(ctx, s.reader(), scanIntent, `
		SELECT `+intentColumns+` FROM intents
		WHERE created_at < ?
		ORDER BY created_at, id`, before)
}
