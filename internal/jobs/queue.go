package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"log/slog"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/tricircle/tricircle/internal/store"
)

// args is what River stores of a job. Its JSON is the key by which there is one
// job per target.
type args struct{ store.Target }

// Kind is River's name for the only kind of job.
func (args) Kind() string { return "reconcile" }

// onePerTarget keeps a target from having two jobs. A job that is done must not
// be among the states: it would block the next for a day.
var onePerTarget = river.UniqueOpts{
	ByArgs: true,
	ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
		rivertype.JobStateScheduled, rivertype.JobStateRetryable,
	},
}

// queue is River over either database.
type queue interface {
	client
	insert(ctx context.Context, tx *store.Tx, params []river.InsertManyParams) error
	complete(ctx context.Context, tx *store.Tx, job *river.Job[args]) error
}

// client is what we use of River's client that does not depend on the database.
type client interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	Queues() *river.QueueBundle
	JobGet(ctx context.Context, id int64) (*rivertype.JobRow, error)
	JobList(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
	JobRetry(ctx context.Context, id int64) (*rivertype.JobRow, error)
}

// riverQueue joins River's statements to the store's transactions.
type riverQueue[TTx any] struct {
	*river.Client[TTx]
	join func(tx *store.Tx, f func(TTx) error) error
}

func openQueue(s *store.Store, cfg *river.Config) (queue, error) {
	if s.Dialect() == store.Postgres {
		c, err := river.NewClient(riverpgxv5.New(s.Pool()), cfg)
		return riverQueue[pgx.Tx]{c, (*store.Tx).Pgx}, err
	}
	c, err := river.NewClient[*sql.Tx](sqliteDriver{
		Driver: riversqlite.New(s.WriteDB()),
		reader: riversqlite.New(s.ReadDB()),
	}, cfg)
	return riverQueue[*sql.Tx]{c, func(tx *store.Tx, f func(*sql.Tx) error) error { return f(tx.SQL()) }}, err
}

// sqliteDriver looks for notifications, twenty times a second, through the
// reading connections instead of the only writing one.
type sqliteDriver struct {
	*riversqlite.Driver
	reader *riversqlite.Driver
}

// GetListener returns a listener that only reads.
func (d sqliteDriver) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	return d.reader.GetListener(p)
}

func (q riverQueue[TTx]) insert(ctx context.Context, tx *store.Tx, params []river.InsertManyParams) error {
	return q.join(tx, func(t TTx) error {
		_, err := q.InsertManyTx(ctx, t, params)
		return err
	})
}

// complete ends the job. A job that is not running any more was cancelled, or
// given to another runner: then that one ends it.
func (q riverQueue[TTx]) complete(ctx context.Context, tx *store.Tx, job *river.Job[args]) error {
	return q.join(tx, func(t TTx) error {
		_, err := river.JobCompleteTx[riverdriver.Driver[TTx]](ctx, t, job)
		if isGone(err) {
			return nil
		}
		return err
	})
}

var notInQueueName = regexp.MustCompile(`[^a-z0-9]+`)

// queueName is the River queue of a pod. River allows few characters; a pod's
// name that has others, or is long, is told apart by a hash.
func queueName(pod string) string {
	if pod == "" {
		return "region" // what concerns no pod
	}
	clean := strings.Trim(notInQueueName.ReplaceAllString(strings.ToLower(pod), "-"), "-")
	if clean == pod && len(clean) <= 48 {
		return "pod-" + clean
	}
	clean = strings.Trim(clean[:min(len(clean), 40)], "-")
	h := fnv.New64a()
	_, _ = h.Write([]byte(pod))
	return strings.ReplaceAll(fmt.Sprintf("pod_%s_%016x", clean, h.Sum64()), "__", "_")
}

// quiet passes on River's warnings and errors only: its other messages are about
// each job, and we log those ourselves.
type quiet struct{ slog.Handler }

// Enabled reports whether the level is worth passing on.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// WithAttrs keeps quiet.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup keeps quiet.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
