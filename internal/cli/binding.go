package cli

import "github.com/spf13/cobra"

func bindingCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "binding", Short: "Which pods the projects use", Args: noArgs, RunE: group,
		Example: "  tricircle binding list",
	}
	cmd.AddCommand(bindingList(s))
	return cmd
}

func bindingList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List which pod each project uses in a zone", Args: noArgs,
		Long: `List which pod each project uses in a zone. A binding is made with the first server
and stays. Of several for one project and zone, the first is used for new servers.`,
		Example: "  tricircle binding list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			bindings, err := c.Bindings(cmd.Context())
			if err != nil {
				return err
			}
			g := grid{header: []string{"Project", "Zone", "Pod"}}
			for _, b := range bindings {
				g.rows = append(g.rows, []string{b.ProjectID, b.Zone, b.Pod})
			}
			return s.print(bindings, g)
		},
	}
}
