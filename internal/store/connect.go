package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/tricircle/tricircle/internal/fault"
)

// minConns keeps the job queue (a listener, a leader, fetchers) and migrations
// from waiting for connections that requests hold.
const minConns = 8

func (s *Store) connect(ctx context.Context, rawURL string) error {
	scheme, rest, _ := strings.Cut(rawURL, ":")
	switch scheme {
	case "sqlite":
		return s.connectSQLite(ctx, rest)
	case "postgres", "postgresql":
		return s.connectPostgres(ctx, rawURL)
	}
	return fault.New(fault.Invalid, "", "cannot open database %q: want sqlite:FILE or postgres://...", redact(rawURL))
}

// redact drops what may be a password.
func redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}

func (s *Store) connectPostgres(ctx context.Context, rawURL string) error {
	s.dialect = Postgres
	cfg, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		return fault.New(fault.Invalid, "", "cannot read database URL %s", redact(rawURL))
	}
	cfg.MaxConns = max(cfg.MaxConns, minConns)
	if _, set := cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"]; !set {
		// A replica that hangs in a transaction must not hold its rows for ever.
		cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "60000"
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return fmt.Errorf("cannot open database: %w", err)
	}
	s.writeDB = stdlib.OpenDBFromPool(s.pool)
	s.readDB = s.writeDB
	return nil
}

// connectSQLite opens one connection for all writes and a few that only read.
// One writer is fair and never busy; with more, SQLite lets some starve.
func (s *Store) connectSQLite(_ context.Context, file string) error {
	s.dialect = SQLite
	file = strings.TrimPrefix(file, "//")
	if file == "" || strings.ContainsAny(file, "?#") || strings.HasPrefix(file, ":") {
		return fault.New(fault.Invalid, "", "cannot open database %q: want sqlite:/path/file.db", "sqlite:"+file)
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot make the database's directory: %w", err)
	}
	if s.unlock, err = lockFile(file); err != nil {
		return err
	}
	// FULL, because what is journaled must survive a power cut too.
	const common = "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	name := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath()}).String()
	if s.writeDB, err = sql.Open("sqlite", name+common+"&_txlock=immediate"); err != nil {
		return err
	}
	s.writeDB.SetMaxOpenConns(1)
	if err := s.writeDB.Ping(); err != nil { // makes the file before a reader opens it
		s.Close()
		return fmt.Errorf("cannot open database %s: %w", file, err)
	}
	if s.readDB, err = sql.Open("sqlite", name+common+"&_pragma=query_only(1)"); err != nil {
		s.Close()
		return err
	}
	s.readDB.SetMaxOpenConns(minConns)
	s.readDB.SetMaxIdleConns(minConns)
	return nil
}

// lockFile keeps other processes off the database for as long as this one lives;
// the kernel ends it even after kill -9. It locks a file beside the database,
// because closing any descriptor of the database itself would drop SQLite's own
// locks in this process.
func lockFile(file string) (unlock func() error, err error) {
	f, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock database %s: %w", file, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Conflict, "", "database %s is in use by another process; "+
				"SQLite serves one process, use PostgreSQL for several replicas", file)
		}
		return nil, fmt.Errorf("cannot lock database %s: %w", file, err)
	}
	return f.Close, nil
}
