// Package store keeps Tricircle's state in SQLite or PostgreSQL. It is the only
// package with SQL.
//
// An exported method is one transaction; unexported functions over *Tx hold the
// SQL and compose. A change and the jobs it needs commit together. No
// transaction is ever open during a call to a pod.
package store

import (
	"context"
	"database/sql"
)

// Kinds of things that have a place in a pod.
const (
	KindNetwork       = "network"
	KindSubnet        = "subnet"
	KindPort          = "port"
	KindSecurityGroup = "security_group"
	KindServer        = "server"
	KindVolume        = "volume"
	KindImage         = "image"
	KindIntent        = "intent" // a creation that was begun
)

// Target names a state to reach: this thing, right in this pod. It is what a job
// is about.
type Target struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Pod  string `json:"pod"`
}

// Enqueuer puts jobs into the queue within the transaction that makes them
// necessary. Package jobs implements it.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *Tx, targets ...Target) error
}

// Tx is an open transaction. Queries use "?" in both dialects; it rebinds.
type Tx struct {
	*sql.Tx
	conn     *sql.Conn
	postgres bool
}
