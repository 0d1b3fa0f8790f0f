package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tricircle/tricircle/internal/"

// layers lists the packages from the ways in down to the means. A package may
// import those of lower layers, and of its own layer what comes after it.
// A new package is added here in the commit that makes it.
var layers = [][]string{
	{"cli"},
	{"app"},
	{"admin/client"},
	{"gateway/coverage"},
	{"gateway/compute", "gateway/volume", "gateway/image", "gateway/network", "admin"},
	{"gateway/compute/legacy"},
	{"gateway/replica"},
	{"gateway"},
	{"dispatch"},
	{"reconcile"},
	{"reconcile/plan"},
	{"jobs"},
	{"fleet"},
	{"trace"},
	{"store"},
	{"release", "alias"},
	{"pod"},
	{"pod/bus"},
	{"identity"},
	{"seal"},
	{"policy"},
	{"topology"},
	{"quota"},
	{"config"},
	{"microversion"},
	{"fault"},
}

// forTests are the folders whose packages only tests import, and cmd/tricircle
// for simulated clouds. They may import anything.
var forTests = []string{"pod/podtest", "store/storetest"}

func isForTests(pkg string) bool {
	return slices.ContainsFunc(forTests, func(dir string) bool {
		return pkg == dir || strings.HasPrefix(pkg, dir+"/")
	})
}

func rank(pkg string) int {
	for i, layer := range layers {
		if slices.Contains(layer, pkg) {
			return i
		}
	}
	return -1
}

// TestImportsPointDown holds the layout: folders are the stages of the flows and
// imports only point down.
func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for pkg, imports := range imports(t, ".") {
		if isForTests(pkg) {
			continue
		}
		if rank(pkg) < 0 {
			t.Errorf("package %s is not in the layout: add it to layers", pkg)
			continue
		}
		for _, imp := range imports {
			switch {
			case isForTests(imp):
				t.Errorf("%s imports %s, which is for tests", pkg, imp)
			case rank(imp) <= rank(pkg):
				t.Errorf("%s imports %s: imports point down", pkg, imp)
			}
		}
	}
}

// TestNoEmptyWords keeps out package names that say nothing.
func TestNoEmptyWords(t *testing.T) {
	t.Parallel()
	for pkg := range imports(t, ".") {
		for _, word := range []string{"util", "utils", "common", "helper", "helpers", "base", "manager", "types", "models"} {
			if path.Base(pkg) == word {
				t.Errorf("package %s: name it for what it provides", pkg)
			}
		}
	}
}

// TestOnlyStoreHasSQL holds the rule that SQL is in one package.
func TestOnlyStoreHasSQL(t *testing.T) {
	t.Parallel()
	for pkg, all := range allImports(t, ".") {
		if pkg == "store" || pkg == "jobs" || isForTests(pkg) {
			continue // jobs hands River the store's transactions
		}
		if slices.Contains(all, "database/sql") {
			t.Errorf("%s imports database/sql", pkg)
		}
	}
}

// TestDependenciesAreListed holds the page of dependencies and their licences
// against go.mod.
func TestDependenciesAreListed(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var required, listed []string
	for line := range strings.Lines(string(mod)) {
		if words := strings.Fields(line); len(words) == 2 && strings.HasPrefix(words[1], "v") {
			required = append(required, words[0])
		}
	}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.Contains(cells[1], "/") {
			listed = append(listed, strings.TrimSpace(cells[1]))
		}
	}
	slices.Sort(listed)
	slices.Sort(required)
	if !slices.Equal(required, listed) {
		t.Errorf("docs/dependencies.md lists %v, want the direct requirements %v", listed, required)
	}
}

// imports are, per package of ours, the packages of ours that it imports outside
// of tests.
func imports(t *testing.T, root string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for pkg, all := range allImports(t, root) {
		out[pkg] = nil
		for _, imp := range all {
			if ours, ok := strings.CutPrefix(imp, module); ok {
				out[pkg] = append(out[pkg], ours)
			}
		}
	}
	return out
}

func allImports(t *testing.T, root string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(file))
		if _, ok := out[pkg]; !ok {
			out[pkg] = nil
		}
		for _, s := range f.Imports {
			imp, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			if !slices.Contains(out[pkg], imp) {
				out[pkg] = append(out[pkg], imp)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
