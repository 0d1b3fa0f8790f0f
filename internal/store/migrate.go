package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// migrations are NNNNN_name.sql, plain SQL for both databases, only forward.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the PostgreSQL advisory lock under which replicas that start
// together migrate one after the other: neither goose nor River is safe alone.
const migrationLock = 0x7472696369726300 // "tricirc"

func (s *Store) migrate(ctx context.Context) error {
	if s.dialect == SQLite {
		return s.migrateLocked(ctx) // the file's lock is held already
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return unreachable(fmt.Errorf("cannot open database: %w", err))
	}
	defer conn.Release()
	// Tried again and again, not waited for: a waiting statement would hold a
	// snapshot that index builds wait for in turn.
	for got := false; !got; {
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(migrationLock)).Scan(&got); err != nil {
			return fmt.Errorf("cannot lock database for migration: %w", err)
		}
		if got {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
	}()
	return s.migrateLocked(ctx)
}

func (s *Store) migrateLocked(ctx context.Context) error {
	ours, err := s.loadMigrations()
	if err != nil {
		return err
	}
	dialect := goose.DialectSQLite3
	if s.dialect == Postgres {
		dialect = goose.DialectPostgres
	}
	provider, err := goose.NewProvider(dialect, s.writeDB, nil, goose.WithGoMigrations(ours...), goose.WithDisableGlobalRegistry(true),
		goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("cannot read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("cannot migrate database: %w", err)
	}
	if s.dialect == Postgres {
		err = migrateQueue[pgx.Tx](ctx, s, riverpgxv5.New(s.pool))
	} else {
		err = migrateQueue[*sql.Tx](ctx, s, riversqlite.New(s.writeDB))
	}
	if err != nil {
		return fmt.Errorf("cannot migrate job tables: %w", err)
	}
	return nil
}

var textType = regexp.MustCompile(`\bTEXT\b`)

// loadMigrations reads the embedded files for the dialect. PostgreSQL gets
// COLLATE "C" on text: order by bytes, as Go and SQLite do, whatever locale the
// database was made with.
func (s *Store) loadMigrations() ([]*goose.Migration, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var all []*goose.Migration
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", name, err)
		}
		query := string(text)
		if s.dialect == Postgres {
			query = textType.ReplaceAllString(query, `TEXT COLLATE "C"`)
		}
		up := func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, query)
			return err
		}
		all = append(all, goose.NewGoMigration(version, &goose.GoFunc{RunTx: up}, nil))
	}
	return all, nil
}

func migrateQueue[TTx any](ctx context.Context, s *Store, driver riverdriver.Driver[TTx]) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet(s.log)})
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// quiet leaves warnings and errors: a line per migration says nothing to anybody.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(warnings{log.Handler()}) }

type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}
