// Package matrix says who reaches whom by which protocols: as a table that
// people read and write.
package matrix

import (
	"fmt"
	"strings"
)

// Protocols is a set of ways to reach somebody.
type Protocols uint16

// The ways. Those that end in 6 go over IPv6; TCP81 is a port that rules about
// TCP do not open.
const (
	Ping Protocols = 1 << iota
	TCP
	UDP
	TCP81
	Ping6
	TCP6
	UDP6
	TCP816

	None Protocols = 0
	All4           = Ping | TCP | UDP | TCP81
	All6           = Ping6 | TCP6 | UDP6 | TCP816
	All            = All4 | All6
)

var words = []struct {
	word string
	set  Protocols
}{
	{"ping", Ping}, {"tcp", TCP}, {"udp", UDP}, {"tcp81", TCP81}, {"ping6", Ping6}, {"tcp6", TCP6}, {"udp6", UDP6}, {"tcp81-6", TCP816},
}

// Each lists the single protocols of the set.
func (p Protocols) Each() []Protocols {
	var all []Protocols
	for _, w := range words {
		if p&w.set != 0 {
			all = append(all, w.set)
		}
	}
	return all
}

// Words is the set as it is written in a table, of what could be asked of a pair:
// "all" of that is shorter than its parts.
func (p Protocols) Words(possible Protocols) string {
	switch {
	case p == None:
		return "none"
	case p == possible:
		return "all"
	case possible&All6 != 0 && p == possible&All4:
		return "all4"
	case possible&All4 != 0 && p == possible&All6:
		return "all6"
	}
	var said []string
	for _, w := range words {
		if p&w.set != 0 {
			said = append(said, w.word)
		}
	}
	return strings.Join(said, ",")
}

func parseProtocols(text string) (Protocols, error) {
	var all Protocols
next:
	for word := range strings.SplitSeq(text, ",") {
		for name, set := range map[string]Protocols{"all": All, "all4": All4, "all6": All6, "none": None} {
			if word == name {
				all |= set
				continue next
			}
		}
		for _, w := range words {
			if word == w.word {
				all |= w.set
				continue next
			}
		}
		return 0, fmt.Errorf("%q is no protocol", word)
	}
	return all, nil
}

// Pair is one who asks and one who is asked.
type Pair struct{ From, To string }

// Matrix is a table: its rows ask, its columns are asked. Pairs that it lacks are
// of no interest.
type Matrix struct {
	Rows, Columns []string
	Cells         map[Pair]Protocols
}

// Parse reads a table: the first line names who is asked; each further one says who
// asks, and what reaches each of them, as words with commas: ping, tcp, udp (to
// port 80), tcp81, the same with a 6, all, all4, all6, none; "-" is not
// asked.
func Parse(text string) (Matrix, error) {
	m := Matrix{Cells: map[Pair]Protocols{}}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case m.Columns == nil:
			m.Columns = fields
		default:
			if err := m.parseRow(fields); err != nil {
				return Matrix{}, err
			}
		}
	}
	if len(m.Rows) == 0 {
		return Matrix{}, fmt.Errorf("a table has a line of names and at least one more")
	}
	return m, nil
}

func (m *Matrix) parseRow(fields []string) error {
	row, cells := fields[0], fields[1:]
	if len(cells) != len(m.Columns) {
		return fmt.Errorf("%s has %d cells for %d columns", row, len(cells), len(m.Columns))
	}
	m.Rows = append(m.Rows, row)
	for i, cell := range cells {
		if cell == "-" {
			continue
		}
		set, err := parseProtocols(cell)
		if err != nil {
			return fmt.Errorf("%s to %s: %w", row, m.Columns[i], err)
		}
		m.Cells[Pair{row, m.Columns[i]}] = set
	}
	return nil
}

// Full is a table in which each of the names reaches every other by all.
func Full(names ...string) Matrix {
	m := Matrix{Rows: names, Columns: names, Cells: map[Pair]Protocols{}}
	for _, a := range names {
		for _, b := range names {
			if a != b {
				m.Cells[Pair{a, b}] = All
			}
		}
	}
	return m
}

// Narrow leaves in the table what could be asked at all.
func (m Matrix) Narrow(possible map[Pair]Protocols) Matrix {
	cells := map[Pair]Protocols{}
	for pair, want := range m.Cells {
		cells[pair] = want & possible[pair]
	}
	return Matrix{Rows: m.Rows, Columns: m.Columns, Cells: cells}
}

// Differ lists the pairs for which something else was seen, with what is too much and
// what is missing.
func (m Matrix) Differ(seen map[Pair]Protocols) map[Pair]Difference {
	all := map[Pair]Difference{}
	for pair, want := range m.Cells {
		if got := seen[pair]; got != want {
			all[pair] = Difference{TooMuch: got &^ want, Missing: want &^ got}
		}
	}
	return all
}

// Difference is what passes but must not, and what must pass but does not.
type Difference struct{ TooMuch, Missing Protocols }

// Table prints what was seen. A cell that differs from the matrix says so with an
// exclamation mark: "ping! (tcp)" lacks tcp, "ping! [udp]" has udp too much.
func (m Matrix) Table(seen, possible map[Pair]Protocols) string {
	differ := m.Differ(seen)
	lines := [][]string{append([]string{""}, m.Columns...)}
	for _, row := range m.Rows {
		line := []string{row}
		for _, column := range m.Columns {
			pair := Pair{row, column}
			line = append(line, m.cell(pair, seen[pair], possible[pair], differ[pair]))
		}
		lines = append(lines, line)
	}
	return align(lines)
}

func (m Matrix) cell(pair Pair, seen, possible Protocols, d Difference) string {
	if _, asked := m.Cells[pair]; !asked {
		return "-"
	}
	text := seen.Words(possible)
	if d != (Difference{}) {
		text += "!"
	}
	if d.Missing != None {
		text += "(" + d.Missing.Words(None) + ")"
	}
	if d.TooMuch != None {
		text += "[" + d.TooMuch.Words(None) + "]"
	}
	return text
}

func align(lines [][]string) string {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		text := ""
		for i, cell := range line {
			text += fmt.Sprintf("%-*s  ", widths[i], cell)
		}
		b.WriteString("  " + strings.TrimRight(text, " ") + "\n")
	}
	return b.String()
}
