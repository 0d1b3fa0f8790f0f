// Package coverage compares the services' tables of routes with the lists of
// operations of the public APIs, and writes what comes out as a page.
package coverage

import (
	"fmt"
	"io"
	"strings"

	"github.com/tricircle/tricircle/internal/gateway"
)

// Operation is one line of an API's list.
type Operation struct {
	Method, Path, Title string
	Min, Max            string // microversions; empty where it has none
	Actions             []string
}

// Read parses a list: tab-separated, with a line of titles.
func Read(list io.Reader) ([]Operation, error) {
	text, err := io.ReadAll(list)
	if err != nil {
		return nil, err
	}
	var all []Operation
	for i, line := range strings.Split(strings.Trim(string(text), "\n"), "\n") {
		cells := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if i == 0 {
			continue
		}
		if len(cells) < 5 {
			return nil, fmt.Errorf("line %d has %d columns, want at least 5", i+1, len(cells))
		}
		o := Operation{Method: cells[0], Path: cells[1], Min: cells[2], Max: cells[3], Title: cells[4]}
		if len(cells) > 5 && cells[5] != "" {
			o.Actions = strings.Split(cells[5], ",")
		}
		all = append(all, o)
	}
	return all, nil
}

// versions reads "2.1 to 2.35", or "from 2.26".
func (o Operation) versions() string {
	switch {
	case o.Max != "":
		return o.Min + " to " + o.Max
	case o.Min != "" && !strings.HasSuffix(o.Min, ".0") && !strings.HasSuffix(o.Min, ".1"):
		return "from " + o.Min
	}
	return ""
}

// sample is a path that the operation's requests could have.
func (o Operation) sample() string {
	segments := strings.Split(o.Path, "/")
	for i, s := range segments {
		switch {
		case s == "{project_id}" || s == "{admin_project_id}":
			segments[i] = "0"
		case strings.HasPrefix(s, "{"):
			segments[i] = "x"
		}
	}
	return strings.Join(segments, "/")
}

// Missing is the strategy of an operation that no route answers.
const Missing gateway.Strategy = "missing"

// Line is what becomes of one operation, or of one of its actions.
type Line struct {
	Operation
	Action   string
	Strategy gateway.Strategy
	Note     string
	// Wild: the route has a wildcard, so it was not made for just this operation.
	Wild bool
}

// String names the line as a client would write it.
func (l Line) String() string {
	name := l.Method + " " + l.Path
	if l.Action != "" {
		name += " " + l.Action
	}
	return name
}

// Report is what becomes of all operations of one service.
type Report struct {
	Service    string // its title on the page
	Operations []Line
	Actions    []Line
}

// Compare looks each operation up in the service's table, as a request would.
func Compare(title string, s gateway.Service, operations []Operation) Report {
	find := gateway.Finder(s)
	report := Report{Service: title}
	for _, o := range operations {
		route := find(o.Method, s.Prefix+o.sample())
		report.Operations = append(report.Operations, lineOf(o, route))
		for _, name := range o.Actions {
			report.Actions = append(report.Actions, actionLine(o, name, route))
		}
	}
	return report
}

func lineOf(o Operation, route *gateway.Route) Line {
	if route == nil {
		return Line{Operation: o, Strategy: Missing}
	}
	return Line{Operation: o, Strategy: route.Strategy, Note: route.Note, Wild: strings.Contains(route.Pattern, "*")}
}

func actionLine(o Operation, name string, route *gateway.Route) Line {
	l := lineOf(o, route)
	l.Action = name
	if route == nil || len(route.Actions) == 0 {
		return l
	}
	l.Strategy, l.Note = Missing, ""
	for _, a := range route.Actions {
		if a.Name == name {
			l.Strategy, l.Note = a.Strategy, a.Note
		}
	}
	return l
}
