package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestReplicasOpenTogether has replicas start at once on a database without
// tables.
func TestReplicasOpenTogether(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, _ string) {
		url := storetest.EmptyPostgresURL(t)
		const replicas = 4
		var wg sync.WaitGroup
		errs := make([]error, replicas)
		for i := range replicas {
			wg.Go(func() {
				s, err := store.Open(context.Background(), store.Options{URL: url})
				if err != nil {
					errs[i] = err
					return
				}
				defer s.Close()
				_, errs[i] = s.ListPods(context.Background())
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		storetest.Pods(t, storetest.Open(t, store.Options{URL: url}), "pod1")
	})
}

func TestSQLiteServesOneProcess(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	s, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), store.Options{URL: url})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("the second Open: %v, want one that says who has the file", err)
	}
	storetest.Pods(t, s, "pod1") // the failed Open did no harm
	s.Close()
	pods, err := storetest.Open(t, store.Options{URL: url}).ListPods(t.Context())
	if err != nil || len(pods) != 1 {
		t.Errorf("after Close and Open: pods = %v, %v; want the one made before", pods, err)
	}
}

// The process that had the file may have died as River's leader. Until its place
// ran out nobody would wake the jobs that wait for their time.
func TestSQLiteForgetsADeadLeader(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	s, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `
			INSERT INTO river_leader (elected_at, expires_at, leader_id, name)
			VALUES ('2026-01-01 00:00:00.000', '2999-01-01 00:00:00.000', 'dead', 'default')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	again := storetest.Open(t, store.Options{URL: url})
	var leaders int
	err = again.Write(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT count(*) FROM river_leader`).Scan(&leaders)
	})
	if err != nil || leaders != 0 {
		t.Errorf("after opening anew there are %d leaders, %v; want none", leaders, err)
	}
}

func TestOpenRefusesURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "tricircle.db", "sqlite:", "sqlite::memory:", "sqlite:/x.db?mode=ro", "mysql://u:secret@h/db", "postgres://u:secret@h:port/db",
	} {
		s, err := store.Open(t.Context(), store.Options{URL: url})
		if err == nil {
			s.Close()
		}
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) = %v, want Invalid, without the password", url, err)
		}
	}
}

func TestOpenUnreachable(t *testing.T) {
	t.Parallel()
	// Nobody listens on port 1.
	_, err := store.Open(t.Context(), store.Options{URL: "postgres://u:secret@127.0.0.1:1/db"})
	if !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "secret") {
		t.Errorf("Open = %v, want Unavailable, without the password", err)
	}
}

func TestSQLiteOddPath(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "not yet made", "50% of ü.db")
	s := storetest.Open(t, store.Options{URL: "sqlite:" + file})
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the database is elsewhere: %v", err)
	}
}

// TestTextOrder: IDs and names sort by bytes in both databases, as in Go,
// whatever the locale of the database.
func TestTextOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "b", "a-b", "ab", "B", "ä", "a")
		pods, err := s.ListPods(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range pods {
			got = append(got, p.Name)
		}
		if want := "B a a-b ab b ä"; strings.Join(got, " ") != want {
			t.Errorf("order = %v, want %s", got, want)
		}
	})
}

// TestPgxJoins: statements through the borrowed pgx.Tx belong to the transaction.
func TestPgxJoins(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Options{URL: url})
		storetest.Pods(t, s, "pod1", "pod2")
		broken := errors.New("changed my mind")
		remove := func(pod string, then error) error {
			return s.Write(t.Context(), func(tx *store.Tx) error {
				err := tx.Pgx(func(p pgx.Tx) error {
					if p.Commit(t.Context()) == nil || p.Rollback(t.Context()) == nil {
						t.Error("the borrower could end the transaction")
					}
					_, err := p.Exec(t.Context(), "DELETE FROM pods WHERE name = $1", pod)
					return err
				})
				return errors.Join(err, then)
			})
		}
		if err := remove("pod1", broken); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if err := remove("pod2", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindPod(t.Context(), "pod1"); err != nil {
			t.Errorf("after a rollback: %v", err)
		}
		if _, err := s.FindPod(t.Context(), "pod2"); !fault.Is(err, fault.NotFound) {
			t.Errorf("after a commit: %v, want NotFound", err)
		}
	})
}
