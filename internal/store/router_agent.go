package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// Seat is a router's place on an agent of a pod.
type Seat struct{ RouterID, AgentID, Pod string }

func scanSeat(row scanner) (s Seat, err error) {
	err = row.Scan(&s.RouterID, &s.AgentID, &s.Pod)
	return s, err
}

// SeatRouter puts the router on the agent. Only highly available routers are on
// more than one. allow may refuse the router.
func (s *Store) SeatRouter(ctx context.Context, seat Seat, allow func(*topology.Router) error) error {
	return s.write(ctx, func(tx *Tx) error {
		r, err := findRouter(ctx, tx, seat.RouterID, tx.forUpdate())
		if err != nil {
			return err
		}
		if err := allow(&r); err != nil {
			return err
		}
		has, err := seatsWhere(ctx, tx, "router_id = ?", r.ID)
		if err != nil {
			return err
		}
		for _, other := range has {
			if other.AgentID == seat.AgentID {
				return nil
			}
		}
		if len(has) > 0 && !r.HA {
			return fault.New(fault.Conflict, "RouterHostedByL3Agent",
				"The router %s has been already hosted by the L3 Agent %s.", r.ID, has[0].AgentID)
		}
		_, err = tx.Exec(ctx, `INSERT INTO router_agents (router_id, agent_id, pod) VALUES (?, ?, ?)`, seat.RouterID, seat.AgentID, seat.Pod)
		return err
	})
}

// UnseatRouter takes the router off the agent, if it is there.
func (s *Store) UnseatRouter(ctx context.Context, routerID, agentID string) error {
	return s.write(ctx, func(tx *Tx) error {
		if _, err := findRouter(ctx, tx, routerID, tx.forUpdate()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM router_agents WHERE router_id = ? AND agent_id = ?`, routerID, agentID)
		return err
	})
}

// ForgetAgent takes all routers off an agent that is gone.
func (s *Store) ForgetAgent(ctx context.Context, agentID string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM router_agents WHERE agent_id = ?`, agentID)
		return err
	})
}

// SeatsOfRouters are the places of the routers.
func (s *Store) SeatsOfRouters(ctx context.Context, routerIDs ...string) (all []Seat, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		all = nil
		return details(ctx, tx, routerIDs, `SELECT router_id, agent_id, pod FROM router_agents WHERE router_id`, `ORDER BY router_id, agent_id`,
			func(row scanner) error {
				seat, err := scanSeat(row)
				all = append(all, seat)
				return err
			})
	})
	return all, err
}

// SeatsOfAgent are the routers on an agent.
func (s *Store) SeatsOfAgent(ctx context.Context, agentID string) (all []Seat, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		all, err = seatsWhere(ctx, tx, "agent_id = ?", agentID)
		return err
	})
	return all, err
}

func seatsWhere(ctx context.Context, tx *Tx, where string, args ...any) ([]Seat, error) {
	return list(ctx, tx, scanSeat, `
		SELECT router_id, agent_id, pod FROM router_agents
		WHERE `+where+`
		ORDER BY router_id, agent_id`, args...)
}
