package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func regionCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "region", Short: "The region that users see", Args: noArgs, RunE: group,
		Example: `  tricircle region register --public-url https://cloud.example.org
  tricircle region show`,
	}
	cmd.AddCommand(regionRegister(s), regionShow(s))
	return cmd
}

func regionRegister(s *session) *cobra.Command {
	var publicURL string
	cmd := &cobra.Command{
		Use: "register", Short: "Put the region's services and endpoints into Keystone", Args: noArgs,
		Long: `Put the region's services and endpoints into Keystone, so that clients find Tricircle
in the service catalog. Services that exist are used, endpoints that are wrong are
corrected, what is right is left alone: it may be run again at any time.`,
		Example: `  tricircle region register
  tricircle region register --public-url https://cloud.example.org`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			done, err := c.Register(cmd.Context(), publicURL)
			if err != nil {
				return err
			}
			g := grid{header: []string{"Action", "What", "Name", "URL", "Note"}}
			for _, step := range done.Steps {
				g.rows = append(g.rows, []string{step.Action, step.What, step.Name, step.URL, step.Note})
			}
			return s.print(done, g)
		},
	}
	cmd.Flags().StringVar(&publicURL, "public-url", "", "the address at which users reach Tricircle (default: public_url of its configuration)")
	register(cmd, "public-url", cobra.NoFileCompletions)
	return cmd
}

func regionShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the region and its zones", Args: noArgs,
		Example: "  tricircle region show",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			r, err := c.Region(cmd.Context())
			if err != nil {
				return err
			}
			var zones []string
			for _, z := range r.Zones {
				line := z.Name + " (" + strings.Join(z.Pods, ", ") + ")"
				if !z.Available {
					line += ", takes nothing new now"
				}
				zones = append(zones, line)
			}
			return s.print(r, fields("name", r.Name, "public_url", r.PublicURL,
				"pods", strconv.Itoa(r.Pods), "zones", strings.Join(zones, "\n")))
		},
	}
}
