package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/topology"
)

// What the journal of creations needs of ports.

// createPortsTx makes the ports, all or none.
func createPortsTx(ctx context.Context, tx *Tx, specs []topology.PortSpec) ([]topology.Port, error) {
	return nil, nil
}

// freePortsTx fails with fault.Conflict if a port serves a device already, and
// with fault.NotFound if it does not exist. It locks the ports.
func freePortsTx(ctx context.Context, tx *Tx, portIDs []string) error { return nil }

// attachPortsTx records which device the ports serve.
func attachPortsTx(ctx context.Context, tx *Tx, portIDs []string, deviceID, deviceOwner string) error {
	return nil
}

// deleteAutoPortsTx deletes those of the ports that were made for one server.
func deleteAutoPortsTx(ctx context.Context, tx *Tx, portIDs []string) error { return nil }
