package store_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/store/storetest"
)

//go:generate go test -run ^TestSchema$ . -update

var update = flag.Bool("update", false, "write schema.sql anew")

// TestSchema keeps schema.sql, which is for readers, what the migrations make.
func TestSchema(t *testing.T) {
	t.Parallel()
	rows, err := storetest.New(t).WriteDB().Query(`
		SELECT sql FROM sqlite_master
		WHERE sql IS NOT NULL
		AND tbl_name NOT LIKE 'river\_%' ESCAPE '\'
		AND tbl_name NOT LIKE 'goose\_%' ESCAPE '\'
		AND tbl_name NOT LIKE 'sqlite\_%' ESCAPE '\'
		ORDER BY tbl_name, type DESC, name`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	got := "-- The tables after all migrations. Made by go generate; do not edit.\n"
	for rows.Next() {
		var made string
		if err := rows.Scan(&made); err != nil {
			t.Fatal(err)
		}
		got += "\n" + strings.TrimSpace(made) + ";\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.sql", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("schema.sql is stale, run go generate ./internal/store (-want +got):\n%s", diff)
	}
}
