// Package storetest runs tests on both databases.
package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/store"
)

// Each runs f on SQLite and on PostgreSQL, each time with a store of its own,
// in parallel.
func Each(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url string) { f(t, Open(t, store.Options{URL: url})) })
}

// EachAt is Each with the clock given.
func EachAt(t *testing.T, now func() time.Time, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url string) { f(t, Open(t, store.Options{URL: url, Now: now})) })
}

// EachURL runs f with the URL of an empty SQLite and of an empty PostgreSQL
// database, in parallel. f opens them, as often as it likes.
func EachURL(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, SQLiteURL(t))
	})
	OnPostgres(t, f)
}

// OnPostgres runs f with the URL of an empty PostgreSQL database: for what only
// several processes can do.
func OnPostgres(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	if !withPostgres() {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, PostgresURL(t))
	})
}

// Open opens a store that is closed with the test.
func Open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// New is a store on SQLite for tests that care little about the database.
func New(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, store.Options{URL: SQLiteURL(t)})
}

// SQLiteURL is the URL of a SQLite database that was just made: it has the tables
// and no rows. Copying one is faster than migrating each, above all under the
// race detector.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tricircle.db")
	made, err := migratedSQLite()
	if err == nil {
		err = os.WriteFile(file, made, 0o600)
	}
	if err != nil {
		t.Fatalf("SQLite for tests: %v", err)
	}
	return "sqlite:" + file
}

var migratedSQLite = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "tricircle-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "migrated.db")
	s, err := store.Open(context.Background(), store.Options{URL: "sqlite:" + file})
	if err != nil {
		return nil, err
	}
	s.Close() // writes the log back into the file
	return os.ReadFile(file)
})

// Pods adds pods: each has a region named after it and a zone of its own, az1
// for the first.
func Pods(t testing.TB, s *store.Store, names ...string) {
	t.Helper()
	for i, name := range names {
		p := store.Pod{Name: name, Region: "Region-" + name, Zone: fmt.Sprintf("az%d", i+1)}
		if _, err := s.CreatePod(context.Background(), p); err != nil {
			t.Fatalf("CreatePod: %v", err)
		}
	}
}
