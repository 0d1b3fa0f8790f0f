package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite docs/cli.md")

// TestDocs keeps docs/cli.md as the commands are.
func TestDocs(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	buf.WriteString("# The command line\n\n" +
		"<!-- Made out of the commands' own help by: go test ./internal/cli -run TestDocs -update -->\n\n")
	document(&buf, Program{}.root())

	path := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(buf.String(), string(have)); diff != "" {
		t.Errorf("docs/cli.md is not current; run go test ./internal/cli -run TestDocs -update (-want +got):\n%s", diff)
	}
}

func document(w *bytes.Buffer, cmd *cobra.Command) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(w, "## %s\n\n%s\n\n", cmd.CommandPath(), fenceLists(text))
	if cmd.Runnable() && !cmd.HasSubCommands() {
		fmt.Fprintf(w, "```\n%s\n```\n\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "Examples:\n\n```\n%s\n```\n\n", cmd.Example)
	}
	flags := cmd.LocalFlags()
	if flags.HasAvailableFlags() && anyButHelp(flags) {
		fmt.Fprintf(w, "Flags:\n\n```\n%s```\n\n", flags.FlagUsages())
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" && sub.Name() != "help" {
			document(w, sub)
		}
	}
}

func anyButHelp(flags *pflag.FlagSet) bool {
	found := false
	flags.VisitAll(func(f *pflag.Flag) { found = found || f.Name != "help" && !f.Hidden })
	return found
}

// fenceLists puts indented lines of a help text into a code block, so that they
// stay lines.
func fenceLists(text string) string {
	var out []string
	inside := false
	for _, line := range strings.Split(text, "\n") {
		if indented := strings.HasPrefix(line, "  "); indented != inside {
			out = append(out, "```")
			inside = indented
		}
		out = append(out, line)
	}
	if inside {
		out = append(out, "```")
	}
	return strings.Join(out, "\n")
}

// TestEveryCommandHasHelp holds the promise of the documentation.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "completion" || cmd.Name() == "help" {
			return
		}
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s has no short help, or no example", cmd.CommandPath())
		}
		for line := range strings.SplitSeq(cmd.Example, "\n") {
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: example %q is not indented", cmd.CommandPath(), line)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(Program{}.root())
}

// TestExamplesParse runs each example's flags and arguments past its command,
// without executing it.
func TestExamplesParse(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for line := range strings.SplitSeq(cmd.Example, "\n") {
			_, words, found := strings.Cut(line, "tricircle ")
			if !found || cmd.Name() == "completion" || cmd.Parent() != nil && cmd.Parent().Name() == "completion" {
				continue
			}
			target, rest, err := Program{}.root().Find(strings.Fields(words))
			if err != nil {
				t.Errorf("example %q: %v", line, err)
				continue
			}
			if err := target.ParseFlags(rest); err != nil {
				t.Errorf("example %q: %v", line, err)
			}
			if err := target.ValidateArgs(target.Flags().Args()); err != nil {
				t.Errorf("example %q: %v", line, err)
			}
			if err := target.ValidateRequiredFlags(); err != nil {
				t.Errorf("example %q: %v", line, err)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(Program{}.root())
}
