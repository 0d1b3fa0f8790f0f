package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// grid is a value as people read it.
type grid struct {
	header []string
	rows   [][]string
}

// fields is the grid of one object: a line per field, as openstack show prints it.
func fields(pairs ...string) grid {
	g := grid{header: []string{"Field", "Value"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		g.rows = append(g.rows, []string{pairs[i], pairs[i+1]})
	}
	return g
}

// print writes the value in the format chosen: JSON and YAML have all of it, in
// the API's names; the table what fits.
func (s *session) print(value any, g grid) error {
	switch s.format {
	case "json":
		return writeJSON(s.stdout, value)
	case "yaml":
		return writeYAML(s.stdout, value)
	}
	if len(g.rows) == 0 {
		fmt.Fprintln(s.stderr, "(none)")
		return nil
	}
	writeTable(s.stdout, g)
	return nil
}

func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

// writeYAML goes by JSON, so that both have the same names in the same order.
func writeYAML(w io.Writer, value any) error {
	var buf bytes.Buffer
	if err := writeJSON(&buf, value); err != nil {
		return err
	}
	out, err := yaml.JSONToYAML(buf.Bytes())
	if err != nil {
		return fmt.Errorf("cannot write YAML: %w", err)
	}
	_, err = w.Write(out)
	return err
}

// maxCell is the width at which a cell's text is folded.
const maxCell = 90

// writeTable draws the table as the openstack client does.
func writeTable(w io.Writer, g grid) {
	t := table.NewWriter()
	var columns []table.ColumnConfig
	for i := range g.header {
		columns = append(columns, table.ColumnConfig{Number: i + 1, WidthMax: maxCell, WidthMaxEnforcer: text.WrapSoft})
	}
	t.SetColumnConfigs(columns)
	style := table.StyleDefault
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(row(g.header))
	for _, r := range g.rows {
		t.AppendRow(row(r))
	}
	fmt.Fprintln(w, t.Render())
}

func row(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, c := range cells {
		r[i] = c
	}
	return r
}

// when is a time for tables; empty for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
