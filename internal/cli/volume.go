package cli

import (
	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/admin"
)

func volumeCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "volume", Short: "Volumes and how they get their data from another pod", Args: noArgs, RunE: group,
		Example: "  tricircle volume where 0c9d7f8a-1b2c-4d3e-8f90-a1b2c3d4e5f6",
	}
	cmd.AddCommand(volumeWhere(s))
	return cmd
}

const volumeWhereHelp = `Show which pod has a volume and, if it was made from a volume, snapshot or image of
another pod, how far it is.

Such a volume is made empty, and a job brings the data: by a backup where the pods' backup
services have one store, else by an image. States:
  filling    see "Step"; to its user the volume is "creating"
  filled     it has its data
  failed     see "Reason"; the volume's status is "error"
  deleting   its user has deleted it, and what was made on the way is being removed`

func volumeWhere(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "where ID", Short: "Show which pod has a volume", Args: oneArg("the ID of a volume"),
		ValidArgsFunction: cobra.NoFileCompletions, Long: volumeWhereHelp,
		Example: "  tricircle volume where 0c9d7f8a-1b2c-4d3e-8f90-a1b2c3d4e5f6",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			v, err := c.Volume(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(v, volumeGrid(v))
		},
	}
}

func volumeGrid(v admin.Volume) grid {
	g := grid{header: []string{"Pod", "Zone", "Status", "From", "Source", "State", "Means", "Step", "Reason"}}
	row := []string{v.Pod, v.Zone, v.Status, "", "", "", "", "", ""}
	if f := v.Fill; f != nil {
		row = []string{v.Pod, v.Zone, v.Status, f.SourcePod, f.SourceKind + " " + f.SourceID, f.State, f.Means, f.Step, f.Reason}
	}
	g.rows = append(g.rows, row)
	return g
}
