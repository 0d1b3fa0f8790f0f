//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tricircle/tricircle/internal/gateway/coverage"
)

// Case is one request that is put to a pod and to the region alike.
//
// A line is "[THING:] WHO[@VERSION,…] METHOD PATH [BODY]". WHO is member, admin,
// stranger (a member of another project) or nobody (no token). Without versions it is
// asked at those where its operation changes, and at the first and the latest. An
// operation that the API has with and without the project in the path is asked for in
// both forms by turns; it goes by its name without. {name}
// in path and body is a thing of the world, see World. What the case creates becomes
// the thing, if it has one, and is deleted at the end.
type Case struct {
	Thing                   string
	Who, Method, Path, Body string
	Versions                []string
	Header                  map[string]string

	file   string // that it is from
	chosen bool   // on the command line
}

func (c Case) String() string {
	text := c.Who + " " + c.Method + " " + c.Path
	for name, value := range c.Header {
		text += " [" + name + "=" + value + "]"
	}
	return strings.TrimSpace(text + " " + c.Body)
}

var caseLine = regexp.MustCompile(`^(?:(\w+): )?(\w+)(?:@([\w.,]+))? ([A-Z]+) (\S+)(?: \[([^\]=]+=[^\]]+)\])?(?: (.*))?$`)

// parseCase reads a line. "[Name=value]" before the body is a header of the request.
func parseCase(line string) (Case, error) {
	m := caseLine.FindStringSubmatch(line)
	if m == nil {
		return Case{}, fmt.Errorf("cannot read %q", line)
	}
	c := Case{Thing: m[1], Who: m[2], Method: m[4], Path: m[5], Body: m[7]}
	if m[3] != "" {
		c.Versions = strings.Split(m[3], ",")
	}
	if name, value, ok := strings.Cut(m[6], "="); ok {
		c.Header = map[string]string{name: value}
	}
	return c, nil
}

var differOnly = flag.String("differ", "", "a pattern: which cases, or files of cases, TestDiffer asks")

// readCases reads all files of cases, in the order of their names.  Of cases that are
// not asked for, those stay that create what the others name.
func readCases(t *testing.T, api API) []Case {
	t.Helper()
	var all []Case
	only := regexp.MustCompile(*differOnly)
	files := must(filepath.Glob("testdata/differ/" + api.name + "/*.cases"))(t)
	for _, file := range files {
		for line := range strings.Lines(string(must(os.ReadFile(file))(t))) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			c := must(parseCase(line))(t)
			c.file = strings.TrimSuffix(filepath.Base(file), ".cases")
			c.chosen = only.MatchString(c.String()) || only.MatchString(c.file)
			all = append(all, c)
		}
	}
	return needed(all)
}

func needed(all []Case) []Case {
	var some []Case
	things := map[string]bool{}
	for _, c := range slices.Backward(all) {
		if !c.chosen && !things[c.Thing] {
			continue
		}
		for _, p := range placeholder.FindAllString(c.Path+c.Body, -1) {
			things[strings.Trim(p, "{}")] = true
		}
		some = append(some, c)
	}
	slices.Reverse(some)
	return some
}

// Answer is what came back, as far as it matters.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// askBoth puts the case to both worlds at a microversion, at the same time.
func askBoth(t *testing.T, c Case, version string, inPod, inRegion *World) (a, b Answer) {
	t.Helper()
	var wg sync.WaitGroup
	var errPod, errRegion error
	wg.Go(func() { a, errPod = inPod.ask(live(t), c, version) })
	if inPod.api.byTurns {
		wg.Wait()
	}
	wg.Go(func() { b, errRegion = inRegion.ask(live(t), c, version) })
	wg.Wait()
	if err := errors.Join(errPod, errRegion); err != nil {
		t.Fatalf("%s at %s: %v", c, version, err)
	}
	return a, b
}

func (w *World) ask(ctx context.Context, c Case, version string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, c.Method, w.url(c.Path), strings.NewReader(w.fill(c.Body)))
	if err != nil {
		return Answer{}, err
	}
	if c.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if token := w.tokens[c.Who]; token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	if version != "" {
		req.Header.Set("OpenStack-API-Version", w.api.name+" "+version)
	}
	for name, value := range c.Header {
		req.Header.Set(name, value)
	}
	resp, err := direct.RoundTrip(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: bytes.TrimSpace(body)}, err
}

// direct follows no redirects.
var direct = http.DefaultTransport

// Operations are the public API's, for counting which of them have a case.
type Operations []coverage.Operation

func readOperations(t *testing.T, api API) Operations {
	t.Helper()
	f := must(os.Open("../../docs/api/" + api.name + ".tsv"))(t)
	defer f.Close()
	return must(coverage.Read(f))(t)
}

// of finds the operation of a case: the one with the fewest placeholders whose
// path matches.
func (all Operations) of(api API, c Case) *coverage.Operation {
	path, _, _ := strings.Cut(c.Path, "?")
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path = "/" + rest
	} else {
		path = api.version + path
	}
	var best *coverage.Operation
	for i, o := range all {
		if o.Method == c.Method && pathMatches(o.Path, path) && (best == nil || strings.Count(o.Path, "{") < strings.Count(best.Path, "{")) {
			best = &all[i]
		}
	}
	return best
}

// ofAsker is the project in the path of the one who asks.
var ofAsker = map[string]string{"member": "/{project}", "admin": "/{admin_project}", "stranger": "/{strangers}", "nobody": "/{project}"}

// inProject is the same operation with the project in its path, if the API has both.
func (all Operations) inProject(o *coverage.Operation) *coverage.Operation {
	if o == nil {
		return nil
	}
	version, rest, _ := strings.Cut(strings.TrimPrefix(o.Path, "/"), "/")
	for i := range all {
		for _, project := range []string{"{project_id}", "{admin_project_id}"} {
			if all[i].Method == o.Method && all[i].Path == "/"+version+"/"+project+"/"+rest {
				return &all[i]
			}
		}
	}
	return nil
}

func pathMatches(pattern, path string) bool {
	a, b := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && (!strings.HasPrefix(a[i], "{") || b[i] == "") {
			return false
		}
	}
	return true
}

var actionKey = regexp.MustCompile(`^\{\s*"([\w-]+)"`)

// name is how the operation, or its action, is counted and referred to.
func nameOf(o *coverage.Operation, c Case) string {
	if o == nil {
		return c.Method + " (no operation)"
	}
	if m := actionKey.FindStringSubmatch(c.Body); m != nil && slices.Contains(o.Actions, m[1]) {
		return o.Method + " " + o.Path + " " + m[1]
	}
	return o.Method + " " + o.Path
}

// asked are the microversions at which the case is asked.
func (api API) asked(o *coverage.Operation, c Case) []string {
	switch {
	case api.speaks == "":
		return []string{""}
	case len(c.Versions) > 0:
		return c.Versions
	}
	versions := []string{api.speaks, "latest"}
	if o != nil {
		for _, v := range []string{o.Min, o.Max, next(o.Max)} {
			if v != "" && v != "2.0" && minor(v) <= api.newest && !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
		}
	}
	return versions
}

func minor(v string) int {
	_, after, _ := strings.Cut(v, ".")
	n, _ := strconv.Atoi(after) // the list's own versions
	return n
}

func next(v string) string {
	major, _, ok := strings.Cut(v, ".")
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s.%d", major, minor(v)+1)
}
