//go:build e2e

package e2e

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var (
	tempestLists = flag.String("tempest", "smoke.txt", "which lists of test/tempest TestTempest runs, with commas")
	tempestPage  = flag.String("tempest-page", "", "where TestTempest writes docs/conformance.md")
	tempestOut   = flag.String("tempest-out", "", "where TestTempest leaves its files")
)

// TestTempest runs OpenStack's own tests against the region: those of the lists must
// pass, but for the known ones, which must not.
func TestTempest(t *testing.T) {
	args := []string{"--region", region.Name, "--known", "../tempest/known.txt", "--list"}
	for list := range strings.SplitSeq(*tempestLists, ",") {
		args = append(args, "../tempest/"+list)
	}
	for option, value := range map[string]string{"--page": *tempestPage, "--out": *tempestOut} {
		if value != "" {
			args = append(args, option, value)
		}
	}
	cmd := exec.CommandContext(live(t), "../tempest/run", args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, &said), os.Stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("tempest: %v", err)
		_, verdict, _ := bytes.Cut(said.Bytes(), []byte("\n  "))
		closing = append(closing, "TestTempest:\n  "+string(verdict))
	}
}
