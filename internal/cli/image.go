package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/admin"
)

func imageCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "image", Short: "Images and their copies in the pods", Args: noArgs, RunE: group,
		Example: `  tricircle image where 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11
  tricircle image copy 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11 --pod eu-2`,
	}
	cmd.AddCommand(imageWhere(s), imageCopy(s))
	return cmd
}

const imageWhereHelp = `Show which pods have an image, or are getting it, and how far each copy is.

An image has one home, the pod whose copy users change; jobs make the others like it.
States:
  queued     its data is not on the way yet
  copying    its data is on the way: see "Data"
  active     its data is there, and the same as at home
  failed     it cannot be copied, see "Reason"; it is tried again, less and less often
  leaving    the image is deleted, and this copy goes when its pod answers
A state with "behind" means that a change has not reached the pod yet.`

func imageWhere(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "where ID", Short: "Show which pods have an image", Args: oneArg("the ID of an image"),
		ValidArgsFunction: cobra.NoFileCompletions, Long: imageWhereHelp,
		Example: "  tricircle image where 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			image, err := c.Image(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(image, copiesGrid(image))
		},
	}
}

func imageCopy(s *session) *cobra.Command {
	var pod string
	cmd := &cobra.Command{
		Use: "copy ID", Short: "Have an image come to a pod before it is needed there", Args: oneArg("the ID of an image"),
		ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Have an image come to a pod before it is needed there. A job brings it; "tricircle image
where" shows how far it is. A copy that failed is tried again now.`,
		Example: "  tricircle image copy 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11 --pod eu-2",
		RunE: func(cmd *cobra.Command, args []string) error {
			if pod == "" {
				return usageError{fmt.Errorf("%s needs --pod", cmd.CommandPath())}
			}
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			image, err := c.CopyImage(cmd.Context(), args[0], pod)
			if err != nil {
				return err
			}
			return s.print(image, copiesGrid(image))
		},
	}
	cmd.Flags().StringVar(&pod, "pod", "", "the pod that is to have it")
	return cmd
}

func copiesGrid(image admin.Image) grid {
	g := grid{header: []string{"Pod", "Zone", "Role", "State", "Data", "Means", "Reason"}}
	for _, c := range image.Copies {
		role, state := "copy", c.State
		if c.Home {
			role = "home"
		}
		if !c.Current && c.State == "active" {
			state += ", behind"
		}
		g.rows = append(g.rows, []string{c.Pod, c.Zone, role, state, progress(c), c.Means, c.Reason})
	}
	return g
}

// progress is how much of the data is there; empty where nobody counts.
func progress(c admin.ImageCopy) string {
	switch {
	case c.Home || c.Size == 0:
		return ""
	case c.State == "active":
		return fmt.Sprintf("%d MiB", c.Size>>20)
	}
	return fmt.Sprintf("%d of %d MiB", c.Done>>20, c.Size>>20)
}
