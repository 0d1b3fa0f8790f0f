package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tricircle/tricircle/internal/fault"
)

// writeTries is how often a transaction runs that loses against another one.
const writeTries = 8

// Tx is an open transaction. Queries use "?" in both dialects; it rebinds.
type Tx struct {
	q     queryer
	tx    *sql.Tx
	conn  *sql.Conn // PostgreSQL, in a write
	store *Store
	after []func()
}

type queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Exec runs a statement.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return tx.q.ExecContext(ctx, tx.rebind(query), bindArgs(args)...)
}

// Query runs a query. Close the rows before the next statement: PostgreSQL
// serves one at a time per connection.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return tx.q.QueryContext(ctx, tx.rebind(query), bindArgs(args)...)
}

// QueryRow runs a query for at most one row.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return tx.q.QueryRowContext(ctx, tx.rebind(query), bindArgs(args)...)
}

// SQL is the database/sql transaction under tx.
func (tx *Tx) SQL() *sql.Tx { return tx.tx }

// AfterCommit has f called once the transaction is committed. It is dropped when
// the transaction is not.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

// Pgx lends the same transaction as a pgx.Tx, PostgreSQL only. f must not commit
// it, nor keep it.
func (tx *Tx) Pgx(f func(pgx.Tx) error) error {
	return tx.conn.Raw(func(driverConn any) error {
		return f(borrowedTx{driverConn.(*stdlib.Conn).Conn()})
	})
}

func (tx *Tx) postgres() bool { return tx.store.dialect == Postgres }

// now is the time of the change.
func (tx *Tx) now() time.Time { return tx.store.now() }

// forUpdate ends a SELECT whose rows are going to be changed. SQLite needs
// nothing: a write holds the whole database.
func (tx *Tx) forUpdate() string {
	if tx.postgres() {
		return " FOR UPDATE"
	}
	return ""
}

func (tx *Tx) rebind(query string) string {
	if !tx.postgres() {
		return query
	}
	return rebind(query)
}

// rebind turns each ? outside quotes into $1, $2, and so on.
func rebind(query string) string {
	var b strings.Builder
	b.Grow(len(query) + 16)
	quoted, n := false, 0
	for i := range len(query) {
		switch c := query[i]; {
		case c == '\'':
			quoted = !quoted
			b.WriteByte(c)
		case c == '?' && !quoted:
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Write runs fn in a transaction. It is exported for package jobs alone.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error { return s.write(ctx, fn) }

// write runs fn in a transaction and commits it if fn succeeds. It runs fn again
// when the database gave way to another transaction, so fn may only change what
// it sets anew each time. fn must use tx for all its work: on SQLite a second
// write inside it would wait for ever.
func (s *Store) write(ctx context.Context, fn func(*Tx) error) error {
	var asked []string
	for {
		err := s.writeAgain(ctx, fn)
		port, gone := s.vacated(ctx, err, asked)
		if !gone {
			return err
		}
		asked = append(asked, port)
	}
}

func (s *Store) writeAgain(ctx context.Context, fn func(*Tx) error) error {
	var err error
	for try := range writeTries {
		if err = s.writeOnce(ctx, fn); err == nil || !lost(err) {
			return unreachable(err)
		}
		pause := time.Duration(rand.Int64N(int64(time.Millisecond) << (try + 1)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	return err
}

func (s *Store) writeOnce(ctx context.Context, fn func(*Tx) error) error {
	tx := &Tx{store: s}
	var err error
	if s.dialect == Postgres {
		// River's own statements need the connection under the transaction.
		if tx.conn, err = s.writeDB.Conn(ctx); err != nil {
			return err
		}
		defer func() { _ = tx.conn.Close() }()
		tx.tx, err = tx.conn.BeginTx(ctx, nil)
	} else {
		tx.tx, err = s.writeDB.BeginTx(ctx, nil)
	}
	if err != nil {
		return err
	}
	defer func() { _ = tx.tx.Rollback() }()
	tx.q = tx.tx
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.tx.Commit(); err != nil {
		return err
	}
	for _, f := range tx.after {
		f()
	}
	return nil
}

// read runs fn on one unchanging view of the data.
func (s *Store) read(ctx context.Context, fn func(*Tx) error) error {
	sqlTx, err := s.readDB.BeginTx(ctx, &sql.TxOptions{Isolation: s.snapshot(), ReadOnly: true})
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = sqlTx.Rollback() }()
	return unreachable(fn(&Tx{q: sqlTx, tx: sqlTx, store: s}))
}

func (s *Store) snapshot() sql.IsolationLevel {
	if s.dialect == Postgres {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault // SQLite's transactions are snapshots anyway
}

// reader serves single queries, each its own transaction: cheaper than read.
func (s *Store) reader() *Tx { return &Tx{q: s.readDB, store: s} }

// lost says that the database ended the transaction in favour of another.
func lost(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization, deadlock
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		code := lite.Code() & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	}
	return false
}

// duplicate says that a row with the same key exists already. On PostgreSQL the
// transaction is lost then: prefer ON CONFLICT where this is expected.
func duplicate(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23505"
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE ||
			lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// dangling says that a row refers to one that is not there, or the reverse.
func dangling(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23503"
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
	}
	return false
}

// unreachable makes a database that cannot be reached a fault that passes.
func unreachable(err error) error {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return &fault.Error{Kind: fault.Unavailable, Message: "the database is away", Err: err}
	}
	return err
}
