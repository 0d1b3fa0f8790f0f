package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/admin/client"
	"github.com/tricircle/tricircle/internal/pod"
)

const (
	defaultEndpoint = "http://127.0.0.1:9780/admin"
	defaultRegion   = "RegionOne"
	// adminService is Tricircle's type in the service catalog.
	adminService = pod.Service("tricircle")
)

// errNoCredentials says that we do not know as whom to log in.
var errNoCredentials = errors.New("no credentials are given")

// refusedLogin is Keystone's no, in words for the user: also pod.ErrCredentials.
type refusedLogin struct{ who string }

func (e refusedLogin) Error() string      { return "Keystone refuses the login as " + e.who }
func (refusedLogin) Is(target error) bool { return target == pod.ErrCredentials }

// badCredentials are some that cannot be read: also errNoCredentials.
type badCredentials struct{ error }

func (badCredentials) Is(target error) bool { return target == errNoCredentials }

// session holds the global flags, and logs in when a command needs the server.
type session struct {
	getenv         func(string) string
	stdout, stderr io.Writer

	format, cloud, region, endpoint string
}

var formats = []string{"table", "json", "yaml"}

func (s *session) addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&s.format, "format", "f", "table", "output: table, json or yaml")
	f.StringVar(&s.cloud, "os-cloud", "", "cloud of clouds.yaml to log in with (OS_CLOUD)")
	f.StringVar(&s.region, "os-region-name", "", "region that Tricircle serves (OS_REGION_NAME)")
	f.StringVar(&s.endpoint, "endpoint", "", "address of the admin API (TRICIRCLE_ENDPOINT)")
	register(root, "format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	register(root, "os-cloud", cobra.NoFileCompletions)
	register(root, "os-region-name", cobra.NoFileCompletions)
	register(root, "endpoint", cobra.NoFileCompletions)
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(formats, s.format) {
			return usageError{fmt.Errorf("format %q is not one of %s", s.format, strings.Join(formats, ", "))}
		}
		return nil
	}
}

// register completes the values of a flag. It fails only for a flag that does not
// exist.
func register(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

// connect logs in at Keystone and finds the server.
func (s *session) connect(ctx context.Context) (*client.Client, error) {
	o, err := s.credentials()
	if err != nil {
		return nil, err
	}
	account := pod.NewAccount(o)
	token, err := account.Token(ctx)
	if errors.Is(err, pod.ErrCredentials) {
		return nil, refusedLogin{account.String()}
	}
	if err != nil {
		return nil, err
	}
	transport, err := httpClient(o.TLS)
	if err != nil {
		return nil, err
	}
	return &client.Client{Endpoint: s.find(ctx, account, o), Token: token, HTTP: transport}, nil
}

func (s *session) credentials() (pod.AccountOptions, error) {
	ref := cmp.Or(s.cloud, s.getenv("OS_CLOUD"))
	if ref == "" {
		if s.getenv("OS_AUTH_URL") == "" {
			return pod.AccountOptions{}, hinted{errNoCredentials,
				"name a cloud of clouds.yaml with --os-cloud or OS_CLOUD, or set the OS_* variables"}
		}
		ref = "env:"
	}
	o, err := pod.LoadCredentials(ref, pod.Sources{Getenv: s.getenv})
	if err != nil {
		return o, badCredentials{err}
	}
	return o, nil
}

// find is the server's address: as given, else the catalog's, else the one of a
// server on this machine that is not registered yet.
func (s *session) find(ctx context.Context, account *pod.Account, o pod.AccountOptions) string {
	if given := cmp.Or(s.endpoint, s.getenv("TRICIRCLE_ENDPOINT")); given != "" {
		return given
	}
	region := cmp.Or(s.region, s.getenv("OS_REGION_NAME"), o.Region, defaultRegion)
	url, err := account.Endpoint(ctx, adminService, region, cmp.Or(o.Interface, "public"))
	if err != nil {
		return defaultEndpoint
	}
	return url
}

// completePods offers the names of pods. A shell that waits must get an answer or
// nothing: errors are not shown.
func (s *session) completePods(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.podNames(cmd)
}

func (s *session) podNames(cmd *cobra.Command) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := s.connect(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	pods, err := c.Pods(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, p := range pods {
		names = append(names, cobra.CompletionWithDesc(p.Name, "region "+p.Region+", zone "+p.Zone))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
