package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func serveCommand(p Program) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run Tricircle", Args: noArgs,
		Long: `Run Tricircle until it gets SIGINT or SIGTERM; then requests under way are finished
first. Without a configuration file it listens on 127.0.0.1:9780, keeps its state in an
embedded database, and takes its Keystone account from OS_CLOUD or the OS_* variables.`,
		Example: `  OS_CLOUD=service tricircle serve
  tricircle serve --config /etc/tricircle/tricircle.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.Serve == nil {
				return errors.New("this build has no server")
			}
			return p.Serve(cmd.Context(), file)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file (TRICIRCLE_* variables override it)")
	return cmd
}

// simulateCommand is for the demonstration on machines without real clouds.
func simulateCommand(p Program) *cobra.Command {
	var dir string
	var pods int
	cmd := &cobra.Command{
		Use: "simulate", Short: "Run simulated OpenStack clouds in memory", Args: noArgs, Hidden: true,
		Long: `Run simulated clouds with one Keystone until interrupted, and write a clouds.yaml for
them into a directory. They hold what is created in memory; there are no packets.`,
		Example: "  tricircle simulate --dir demo --pods 2",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.Simulate == nil {
				return errors.New("this build has no simulated clouds")
			}
			if pods < 1 || pods > 100 {
				return usageError{fmt.Errorf("--pods must be between 1 and 100, not %d", pods)}
			}
			return p.Simulate(cmd.Context(), dir, pods, func(cloudsFile string) {
				fmt.Fprintf(p.Stdout, "%d simulated clouds are up.\nexport OS_CLIENT_CONFIG_FILE=%s\n", pods, cloudsFile)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "directory for clouds.yaml")
	cmd.Flags().IntVar(&pods, "pods", 2, "number of clouds")
	return cmd
}

func versionCommand(p Program, s *session) *cobra.Command {
	var server bool
	cmd := &cobra.Command{
		Use: "version", Short: "Show the version", Args: noArgs,
		Example: `  tricircle version
  tricircle version --server`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			value := map[string]string{"client": p.Version}
			g := fields("client", p.Version)
			if server {
				c, err := s.connect(cmd.Context())
				if err != nil {
					return err
				}
				if value["server"], err = c.Version(cmd.Context()); err != nil {
					return err
				}
				g = fields("client", p.Version, "server", value["server"])
			}
			return s.print(value, g)
		},
	}
	cmd.Flags().BoolVar(&server, "server", false, "ask the running server too")
	return cmd
}
