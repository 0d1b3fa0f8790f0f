package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// arguments of a command: --option value, -c COLUMN, -f FORMAT, flags, names.
type arguments struct {
	options map[string]string
	columns []string
	names   []string
	value   bool // -f value: bare values
}

func parse(args []string) arguments {
	a := arguments{options: map[string]string{}}
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case slices.Contains([]string{"--wait", "--long"}, arg):
			a.options[arg[2:]] = "yes"
		case i+1 < len(args) && arg == "-c":
			i++
			a.columns = append(a.columns, args[i])
		case i+1 < len(args) && arg == "-f":
			i++
			a.value = args[i] == "value"
		case i+1 < len(args) && strings.HasPrefix(arg, "--"):
			i++
			a.options[arg[2:]] = args[i]
		default:
			a.names = append(a.names, arg)
		}
	}
	return a
}

func (a arguments) name() string {
	if len(a.names) == 0 {
		return ""
	}
	return a.names[0]
}

func (a arguments) option(name string) string { return a.options[name] }

func (a arguments) has(flag string) bool { return a.options[flag] != "" }

func (a arguments) number(name string) int {
	n, err := strconv.Atoi(a.options[name])
	if err != nil {
		return 0 // the service refuses it with better words than ours
	}
	return n
}

// print shows the columns asked for, as a table or as bare values.
func (a arguments) print(all []object) {
	columns := a.columns
	if len(columns) == 0 {
		columns = []string{"ID", "Name", "Status"}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush() //nolint:errcheck // a closed terminal
	if !a.value {
		fmt.Fprintln(w, strings.Join(columns, "\t"))
	}
	for _, o := range all {
		var row []string
		for _, column := range columns {
			row = append(row, o.text(column))
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
}
