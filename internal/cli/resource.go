package cli

import (
	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/admin"
)

func resourceCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "resource", Short: "Servers, networks and all else by ID", Args: noArgs, RunE: group,
		Example: "  tricircle resource where 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11",
	}
	cmd.AddCommand(resourceWhere(s))
	return cmd
}

func resourceWhere(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "where ID", Short: "Show which pods have a resource, and under which ID", Args: oneArg("the ID of a resource"),
		ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Show which pods have a server, volume, image, network, subnet, port or security
group; under which ID each pod knows it; and, where a pod is not yet as it should be,
why. A network is in no pod until a server needs it there.`,
		Example: `  tricircle resource where 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11
  tricircle resource where 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11 -f yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			r, err := c.Where(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(r, placesGrid(r))
		},
	}
}

func placesGrid(r admin.Resource) grid {
	g := grid{header: []string{"Kind", "Name", "Pod", "Zone", "ID in pod", "State", "Reason"}}
	name := map[string]string{}
	for _, f := range r.Found {
		name[f.Kind] = f.Name
		if len(r.Places) == 0 {
			g.rows = append(g.rows, []string{f.Kind, f.Name, "", "", "", "central only", r.Note})
		}
	}
	for _, p := range r.Places {
		g.rows = append(g.rows, []string{p.Kind, name[p.Kind], p.Pod, p.Zone, p.PodID, stateOf(p), p.Reason})
	}
	return g
}

// stateOf is a place in a word or two.
func stateOf(p admin.Place) string {
	switch {
	case !p.Wanted:
		return "being removed"
	case !p.Current && p.PodID == "":
		return "being made"
	case !p.Current:
		return "being changed"
	case p.Status != "":
		return p.Status
	}
	return "as wanted"
}
