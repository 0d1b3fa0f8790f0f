// Package store keeps Tricircle's state in SQLite or PostgreSQL. It is the only
// package with SQL.
//
// An exported method is one transaction; unexported functions over *Tx hold the
// SQL and compose. A change and the jobs it needs commit together. No
// transaction is ever open during a call to a pod.
//
// One set of SQL serves both databases: IDs are TEXT, times are BIGINT
// microseconds since 1970 UTC, booleans are BIGINT 0 or 1, JSON is TEXT.
// Queries use "?"; Tx rebinds them, and turns bool and time.Time arguments into
// what the columns hold.
package store

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/topology"
)

// Kinds of things that have a place in a pod.
const (
	KindNetwork       = "network"
	KindSubnet        = "subnet"
	KindPort          = "port"
	KindSecurityGroup = "security_group"
	KindQoSPolicy     = "qos_policy"
	KindAddressGroup  = "address_group"
	KindGroupMembers  = "group_members" // of a security group, in other pods
	KindTrunk         = "trunk"
	KindRouter        = "router"
	KindFloatingIP    = "floating_ip"
	KindShadowPort    = "shadow_port"  // where a floating IP names a port of another pod; its ID is the port's
	KindInterconnect  = "interconnect" // what a pod knows of a network's members in others; its ID is the network's
	KindServer        = "server"
	KindVolume        = "volume"
	KindSnapshot      = "snapshot" // of a volume
	KindBackup        = "backup"
	KindGroup         = "group"        // of volumes
	KindVolumeCount   = "volume_count" // all that a project has in a pod's Block Storage; its ID is the project's
	KindVolumeFill    = "volume_fill"  // the data of a volume, out of another pod; its ID is the volume's
	KindImage         = "image"
	KindServerGroup   = "server_group"
	KindIntent        = "intent" // a creation that was begun

	// What is the same in every pod.
	KindFlavor  = "flavor"
	KindKeypair = "keypair" // its ID is USER/NAME
	// KindNamespace is one of Glance's namespaces of metadata definitions, with all that is in it.
	KindNamespace   = "metadef_namespace"
	KindVolumeType  = "volume_type"
	KindQoSSpecs    = "qos_specs" // of volumes
	KindGroupType   = "group_type"
	KindDefaultType = "default_type" // a project's; its ID is the project's
	KindAttempt     = "attempt"      // a change of such a thing that was begun; its ID is ATTEMPT/KIND/ID
	KindCatalog     = "catalog"      // all of them, for a pod that is new; its ID is the pod's name
)

// Journal says that targets of the kind look after what others have begun: they
// have no mapping, and their jobs come late.
func Journal(kind string) bool { return kind == KindIntent || kind == KindAttempt }

// Target names a state to reach: this thing, right in this pod. It is what a job
// is about.
type Target struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Pod  string `json:"pod"`
}

func (t Target) String() string { return t.Kind + " " + t.ID + " in pod " + t.Pod }

// Enqueuer puts jobs into the queue within the transaction that makes them
// necessary. Package jobs implements it.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *Tx, targets ...Target) error
}

// Dialects.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Options say where the state is kept.
type Options struct {
	// URL is "sqlite:/path/file.db" or a PostgreSQL URL ("postgres://...").
	URL string
	// Now is the clock. Nil means the system's; then PostgreSQL's own clock
	// decides about leases, so that replicas need not agree on the time.
	Now func() time.Time
	Log *slog.Logger
}

// Store is the state. It is safe for concurrent use.
type Store struct {
	dialect  string
	writeDB  *sql.DB       // SQLite: one connection, the only writer
	readDB   *sql.DB       // SQLite: query_only; PostgreSQL: the same as writeDB
	pool     *pgxpool.Pool // PostgreSQL only
	unlock   func() error  // SQLite: gives up the file
	now      func() time.Time
	ownClock bool // now was given: use it for leases too
	log      *slog.Logger

	mu        sync.RWMutex
	enqueuer  Enqueuer
	vacate    func(ctx context.Context, portID string) error
	forgotten forgotten
	fabric    topology.Fabric
	stocks    map[string]quota.Amounts // by service
	mode      ImageMode                // of images without one of their own
}

// Open opens the database, and creates or migrates its tables. On PostgreSQL any
// number of processes may do so at once. A SQLite file serves one process: a
// second one gets an error that says so.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{now: o.Now, ownClock: o.Now != nil, log: o.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.connect(ctx, o.URL); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// prepare brings the schema up to date and drops what a dead process left.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.dialect != SQLite {
		return nil
	}
	return s.buryRunner(ctx)
}

// Close closes all connections. Nothing may use the store afterwards.
func (s *Store) Close() {
	if s.readDB != nil && s.readDB != s.writeDB {
		_ = s.readDB.Close()
	}
	if s.writeDB != nil {
		_ = s.writeDB.Close()
	}
	if s.pool != nil {
		s.pool.Close()
	}
	if s.unlock != nil {
		_ = s.unlock()
	}
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return unreachable(s.reader().QueryRow(ctx, "SELECT 1").Scan(&one))
}

// SetEnqueuer names who takes the jobs. Without one, changes make no jobs.
func (s *Store) SetEnqueuer(e Enqueuer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueuer = e
}

// Dialect is SQLite or Postgres.
func (s *Store) Dialect() string { return s.dialect }

// WriteDB is SQLite's only writing connection, for the job queue. Whoever uses
// it inside Write's function waits for himself for ever.
func (s *Store) WriteDB() *sql.DB { return s.writeDB }

// ReadDB only reads; on SQLite it does so beside the writing connection.
func (s *Store) ReadDB() *sql.DB { return s.readDB }

// Pool is PostgreSQL's connection pool, for the job queue; nil on SQLite.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// enqueue makes jobs for the targets in the transaction.
func enqueue(ctx context.Context, tx *Tx, targets ...Target) error {
	if len(targets) == 0 {
		return nil
	}
	tx.store.mu.RLock()
	e := tx.store.enqueuer
	tx.store.mu.RUnlock()
	if e == nil {
		return nil
	}
	return e.Enqueue(ctx, tx, targets...)
}
