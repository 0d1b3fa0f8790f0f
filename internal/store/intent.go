package store

import (
	"context"
	"fmt"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/topology"
)

// Intent is the journal of one creation of a server or volume: written before the
// pod is asked, settled with the index entry. ID is the mark that the thing carries
// in its metadata, so that a crash between the call and the record leaves nothing
// unaccounted for. What else takes room in Block Storage has no mark: its intent
// holds the room until the pod's list shows what came of it.
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
	// Parent is the volume that the thing belongs to or that is changed; empty: none.
	Parent string
	// Amounts count against the quota of Block Storage until the intent ends or the
	// index has the thing.
	Amounts quota.Amounts
	// Fill says that the volume is made empty, and filled from another pod; not read back.
	Fill *VolumeFill
	// Grant is the grant out of which it is admitted, if several were admitted at
	// once; not kept.
	Grant string
}

// Target is the job that looks after the intent if its maker does not.
func (in Intent) Target() Target { return Target{Kind: KindIntent, ID: in.ID, Pod: in.Pod} }

const intentColumns = `id, kind, pod, project_id, user_id, name, zone, server_group, created_at, decision_id, vcpus, ram, parent`

func scanIntent(row scanner) (in Intent, err error) {
	err = row.Scan(&in.ID, &in.Kind, &in.Pod, &in.ProjectID, &in.UserID, &in.Name, &in.Zone, &in.ServerGroup,
		intoTime(&in.CreatedAt), &in.DecisionID, &in.Size.VCPUs, &in.Size.RAM, &in.Parent)
	return in, err
}

// Begin admits the server, or the amounts, to the quota, writes the intent, makes the ports that
// the server is to have for itself (all of them or nothing is done), adds them to the intent's, and leaves a job
// that looks after it later. fault.OverQuota if the project may have no more;
// fault.Conflict if a port already serves another server or creation, or, with
// the code GroupElsewhere, if the server's group is in another pod.
func (s *Store) Begin(ctx context.Context, in Intent, auto ...topology.PortSpec) (made []topology.Port, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if err := admitTx(ctx, tx, in); err != nil {
			return err
		}
		ports := in.Ports[:len(in.Ports):len(in.Ports)]
		if err := freePortsTx(ctx, tx, ports); err != nil {
			return err
		}
		for i := range auto {
			auto[i].Near = in.Pod
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
	_, err := tx.Exec(ctx, `INSERT INTO intents (`+intentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		in.ID, in.Kind, in.Pod, in.ProjectID, in.UserID, in.Name, in.Zone, in.ServerGroup, tx.now(), in.DecisionID, in.Size.VCPUs, in.Size.RAM, in.Parent)
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
	if err := amountsTx(ctx, tx, in); err != nil {
		return err
	}
	if err := beginFillTx(ctx, tx, in); err != nil {
		return err
	}
	if err := joinGroupTx(ctx, tx, in); err != nil {
		return err
	}
	return enqueue(ctx, tx, in.Target())
}

// Settle ends the intent well: the thing is in the index, its mapping is made,
// a server's ports carry its ID. If the intent is gone it succeeds when the thing is
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
		return settleTx(ctx, tx, in, e)
	})
}

// settleTx puts the thing into the index and hands a server what was made for it.
func settleTx(ctx context.Context, tx *Tx, in Intent, e Entry) error {
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
	if err := fillMadeTx(ctx, tx, in, e); err != nil {
		return err
	}
	if err := dropIntent(ctx, tx, in.ID); err != nil {
		return err
	}
	return bootTx(ctx, tx, in)
}

// Abandon ends an intent that made nothing: the ports made for it go, the user's
// own leave the pod, and so does a server group that has nothing else there. An
// intent that is gone is no error.
func (s *Store) Abandon(ctx context.Context, intentID string) error {
	return s.write(ctx, func(tx *Tx) error { return abandonTx(ctx, tx, intentID) })
}

func abandonTx(ctx context.Context, tx *Tx, intentID string) error {
	return endIntentTx(ctx, tx, intentID, func(tx *Tx, in Intent) error {
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
	return s.write(ctx, func(tx *Tx) error { return endIntentTx(ctx, tx, intentID, free) })
}

func endIntentTx(ctx context.Context, tx *Tx, intentID string, free func(*Tx, Intent) error) error {
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
	if err := dropFillTx(ctx, tx, intentID); err != nil {
		return err
	}
	if err := free(tx, in); err != nil {
		return err
	}
	return freeGroupTx(ctx, tx, in.ServerGroup)
}

func dropIntent(ctx context.Context, tx *Tx, id string) error {
	for _, table := range []string{"intent_ports", "intent_amounts"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE intent_id = ?`, id); err != nil {
			return err
		}
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
	if err != nil {
		return in, err
	}
	in.Amounts, err = intentAmounts(ctx, tx, id)
	return in, err
}

// ListIntents lists the intents begun before the time, the oldest first, without
// their ports and amounts.
func (s *Store) ListIntents(ctx context.Context, before time.Time) ([]Intent, error) {
	return list(ctx, s.reader(), scanIntent, `
		SELECT `+intentColumns+` FROM intents
		WHERE created_at < ?
		ORDER BY created_at, id`, before)
}
