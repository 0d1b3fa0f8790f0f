package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// borrowedTx shows a connection that is in a transaction of database/sql as a
// pgx.Tx, so that River's statements join it. The one who began it ends it.
type borrowedTx struct{ conn *pgx.Conn }

var _ pgx.Tx = borrowedTx{}

var errBorrowed = errors.New("store: a borrowed transaction is ended by its owner")

// Commit is refused.
func (borrowedTx) Commit(context.Context) error { return errBorrowed }

// Rollback is refused.
func (borrowedTx) Rollback(context.Context) error { return errBorrowed }

// Begin is refused: nobody needs savepoints here.
func (borrowedTx) Begin(context.Context) (pgx.Tx, error) { return nil, errBorrowed }

// The rest is the connection's.

func (tx borrowedTx) Conn() *pgx.Conn { return tx.conn }

func (tx borrowedTx) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	return tx.conn.Exec(ctx, query, args...)
}

func (tx borrowedTx) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	return tx.conn.Query(ctx, query, args...)
}

func (tx borrowedTx) QueryRow(ctx context.Context, query string, args ...any) pgx.Row {
	return tx.conn.QueryRow(ctx, query, args...)
}

func (tx borrowedTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error) {
	return tx.conn.CopyFrom(ctx, table, columns, src)
}

func (tx borrowedTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return tx.conn.SendBatch(ctx, b)
}

func (tx borrowedTx) Prepare(ctx context.Context, name, query string) (*pgconn.StatementDescription, error) {
	return tx.conn.Prepare(ctx, name, query)
}

func (borrowedTx) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }
