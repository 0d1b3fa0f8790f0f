// Package cli is the command line of Tricircle.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/admin/client"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// Exit codes; the root command's help explains them.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitDenied   = 4
	exitAway     = 5
)

// Program is what the commands work with.
type Program struct {
	Version string
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string
	// Serve runs the server with this configuration file until the context ends.
	Serve func(ctx context.Context, configFile string) error
	// Simulate runs n simulated clouds until the context ends; ready is told where
	// their clouds.yaml is.
	Simulate func(ctx context.Context, dir string, n int, ready func(cloudsFile string)) error
}

// Run executes one command line and returns the exit code.
func (p Program) Run(ctx context.Context, args []string) int {
	if p.Getenv == nil {
		p.Getenv = os.Getenv
	}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	p.explain(err)
	return exitCode(err)
}

const rootHelp = `Tricircle makes several OpenStack clouds look like one region.

"tricircle serve" runs it. All other commands talk to a running one over its admin
API, so they work from anywhere: they log in at Keystone like the openstack client,
with --os-cloud, OS_CLOUD or the OS_* variables, and need the role admin.

The server is found in the service catalog (type "tricircle" in the region). Before
"tricircle region register" has put it there, http://127.0.0.1:9780/admin is used.
--endpoint or TRICIRCLE_ENDPOINT overrides both.

Exit codes:
  0  done
  1  failed, or a check found an error or a difference
  2  the command line is wrong
  3  no such pod, resource or job
  4  not logged in, or without the role admin
  5  Tricircle or Keystone does not answer`

const rootExample = `  tricircle serve --config /etc/tricircle/tricircle.yaml
  export OS_CLOUD=admin
  tricircle pod add pod1 --region Pod1 --zone az1
  tricircle region register --public-url https://cloud.example.org
  tricircle pod list`

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// hinted adds what to do next.
type hinted struct {
	err  error
	hint string
}

func (e hinted) Error() string { return e.err.Error() }
func (e hinted) Unwrap() error { return e.err }

// errFindings ends a check that found errors; they have been shown.
var errFindings = errors.New("errors were found")

func (p Program) root() *cobra.Command {
	s := &session{getenv: p.Getenv, stdout: p.Stdout, stderr: p.Stderr}
	root := &cobra.Command{
		Use: "tricircle", Short: "Several OpenStack clouds as one region", Long: rootHelp, Example: rootExample,
		SilenceErrors: true, SilenceUsage: true, Args: noArgs, RunE: group,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	s.addFlags(root)
	root.AddCommand(
		serveCommand(p), simulateCommand(p), versionCommand(p, s),
		podCommand(s), regionCommand(s), resourceCommand(s), jobCommand(s), bindingCommand(s), explainCommand(s), driftCommand(s), networkCommand(s), imageCommand(s), volumeCommand(s),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

// group is the action of a command that only has subcommands.
func group(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noArgs refuses arguments; for a group, they are commands that do not exist.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return usageError{fmt.Errorf("%s takes no arguments, but got %q", cmd.CommandPath(), args[0])}
	}
	msg := fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		msg += "; did you mean " + strings.Join(near, ", ") + "?"
	}
	return usageError{errors.New(msg)}
}

// oneArg asks for exactly one argument, called what in the message.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usageError{fmt.Errorf("%s needs %s", cmd.CommandPath(), what)}
		case len(args) > 1:
			return usageError{fmt.Errorf("%s takes one argument, but got %q too", cmd.CommandPath(), args[1])}
		}
		return nil
	}
}

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*client.AwayError](err); ok {
		return exitAway
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		return codeOf(e.Status)
	}
	switch {
	case errors.Is(err, pod.ErrCredentials), errors.Is(err, errNoCredentials):
		return exitDenied
	case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Timeout):
		return exitAway
	}
	return exitFailed
}

func codeOf(status int) int {
	switch status {
	case 404:
		return exitNotFound
	case 401, 403:
		return exitDenied
	case 502, 503, 504:
		return exitAway
	}
	return exitFailed
}

// explain writes the error and what to do next, both short.
func (p Program) explain(err error) {
	if errors.Is(err, errFindings) {
		return
	}
	fmt.Fprintf(p.Stderr, "tricircle: %v\n", err)
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status >= 500 && e.RequestID != "" {
		fmt.Fprintf(p.Stderr, "  request ID: %s\n", e.RequestID)
	}
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(p.Stderr, "  %s\n", hint)
	}
}

func hintOf(err error) string {
	if e, ok := errors.AsType[hinted](err); ok {
		return e.hint
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return "see tricircle --help, or --help after any command"
	}
	if _, ok := errors.AsType[*client.AwayError](err); ok {
		return "see that tricircle serve runs there; --endpoint names another address"
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		switch e.Status {
		case 401:
			return "Tricircle refuses a token that Keystone has just given: does it use the same Keystone?"
		case 403:
			return "the role admin is needed: choose another cloud with --os-cloud"
		}
	}
	if errors.Is(err, pod.ErrCredentials) {
		return "see that the cloud's user, password and project are right"
	}
	return ""
}
