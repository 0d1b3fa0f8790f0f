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
	"strings"
	"sync"
	"testing"

	"github.com/tricircle/tricircle/internal/gateway/coverage"
)

// Case is one request that is put to a pod and to the region alike.
//
// A line is "WHO[@VERSION,…] METHOD PATH [BODY]". WHO is member, admin, stranger
// (a member of another project) or nobody (no token). Without versions it is asked at
// those where its operation changes, and at the first and the latest. {name} in
// path and body is a thing of the world, see World.
type Case struct {
	Who, Method, Path, Body string
	Versions                []string
	Header                  map[string]string
}

func (c Case) String() string {
	return strings.TrimSpace(c.Who + " " + c.Method + " " + c.Path + " " + c.Body)
}

var caseLine = regexp.MustCompile(`^(\w+)(?:@([\w.,]+))? ([A-Z]+) (\S+)(?: \[([^\]=]+=[^\]]+)\])?(?: (.*))?$`)

// parseCase reads a line. "[Name=value]" before the body is a header of the request.
func parseCase(line string) (Case, error) {
	m := caseLine.FindStringSubmatch(line)
	if m == nil {
		return Case{}, fmt.Errorf("cannot read %q", line)
	}
	c := Case{Who: m[1], Method: m[3], Path: m[4], Body: m[6]}
	if m[2] != "" {
		c.Versions = strings.Split(m[2], ",")
	}
	if name, value, ok := strings.Cut(m[5], "="); ok {
		c.Header = map[string]string{name: value}
	}
	return c, nil
}

var differOnly = flag.String("differ", "", "a pattern: which cases TestDiffer asks")

// readCases reads all files of cases, in the order of their names.
func readCases(t *testing.T) []Case {
	t.Helper()
	var all []Case
	files := must(filepath.Glob("testdata/differ/*.cases"))(t)
	for _, file := range files {
		for line := range strings.Lines(string(must(os.ReadFile(file))(t))) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if c := must(parseCase(line))(t); regexp.MustCompile(*differOnly).MatchString(c.String()) {
				all = append(all, c)
			}
		}
	}
	return all
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
		req.Header.Set("OpenStack-API-Version", "compute "+version)
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

func computeOperations(t *testing.T) Operations {
	t.Helper()
	f := must(os.Open("../../docs/api/compute.tsv"))(t)
	defer f.Close()
	return must(coverage.Read(f))(t)
}

// of finds the operation of a case: the one with the fewest placeholders whose
// path matches.
func (all Operations) of(c Case) *coverage.Operation {
	path, _, _ := strings.Cut(c.Path, "?")
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path = "/" + rest
	} else {
		path = "/v2.1" + path
	}
	var best *coverage.Operation
	for i, o := range all {
		if o.Method == c.Method && pathMatches(o.Path, path) && (best == nil || strings.Count(o.Path, "{") < strings.Count(best.Path, "{")) {
			best = &all[i]
		}
	}
	return best
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

// versionsFor are the microversions at which the case is asked.
func versionsFor(o *coverage.Operation, c Case) []string {
	if len(c.Versions) > 0 {
		return c.Versions
	}
	versions := []string{"2.1", "latest"}
	if o != nil {
		for _, v := range []string{o.Min, o.Max, next(o.Max)} {
			if v != "" && v != "2.0" && !above(v, newest) && !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
		}
	}
	return versions
}

// newest is what the pods' Nova speaks.
const newest = 93

func minor(v string) int {
	n := 0
	fmt.Sscanf(v, "2.%d", &n) //nolint:errcheck // the list's own versions
	return n
}

func above(v string, n int) bool { return minor(v) > n }

func next(v string) string {
	if v == "" {
		return ""
	}
	return fmt.Sprintf("2.%d", minor(v)+1)
}
