package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/admin/client"
	"github.com/tricircle/tricircle/internal/jobs"
)

func jobCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "job", Short: "What Tricircle is still doing in the pods", Args: noArgs, RunE: group,
		Long: `A job names a state to reach, such as "network N right in pod P". A pod that is away
makes its jobs wait; they are tried again by themselves.`,
		Example: `  tricircle job list
  tricircle job retry 42`,
	}
	cmd.AddCommand(jobList(s), jobShow(s), jobRetry(s))
	return cmd
}

var jobStates = []string{jobs.Pending, jobs.Running, jobs.Waiting, jobs.Done, jobs.Failed}

func jobList(s *session) *cobra.Command {
	var q jobs.Query
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs", Args: noArgs,
		Long: "List jobs, the newest first. Those that are done are kept for a day.",
		Example: `  tricircle job list
  tricircle job list --pod pod2 --state waiting
  tricircle job list --resource 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.State != "" && !slices.Contains(jobStates, q.State) {
				return usageError{fmt.Errorf("job state %q is not one of %s", q.State, strings.Join(jobStates, ", "))}
			}
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			found, err := c.Jobs(cmd.Context(), q)
			if err != nil {
				return err
			}
			g := grid{header: []string{"ID", "Kind", "Resource", "Pod", "State", "Attempts", "Next", "Reason"}}
			for _, j := range found {
				g.rows = append(g.rows, []string{
					strconv.FormatInt(j.ID, 10), j.Kind, j.Resource, j.Pod, j.State, strconv.Itoa(j.Attempts), whenever(j.NextAt), j.Reason,
				})
			}
			return s.print(found, g)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Pod, "pod", "", "only jobs for this pod")
	f.StringVar(&q.Kind, "kind", "", "only jobs for this kind of resource")
	f.StringVar(&q.State, "state", "", "only jobs in this state: "+strings.Join(jobStates, ", "))
	f.IntVar(&q.Limit, "limit", 0, "at most so many (default 100)")
	f.StringVar(&q.Resource, "resource", "", "only jobs for the resource with this ID")
	register(cmd, "state", cobra.FixedCompletions(jobStates, cobra.ShellCompDirectiveNoFileComp))
	register(cmd, "pod", func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return s.podNames(cmd)
	})
	return cmd
}

func jobShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one job", Args: oneArg("a job's ID"),
		Example:           "  tricircle job show 42",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			j, err := c.Job(cmd.Context(), args[0])
			if err != nil {
				return jobHint(err)
			}
			return s.print(j, jobFields(j))
		},
	}
}

func jobRetry(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "retry ID", Short: "Have a waiting job tried now", Args: oneArg("a job's ID"),
		Example:           "  tricircle job retry 42",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			j, err := c.RetryJob(cmd.Context(), args[0])
			if err != nil {
				return jobHint(err)
			}
			return s.print(j, jobFields(j))
		},
	}
}

func jobFields(j jobs.Job) grid {
	return fields(
		"id", strconv.FormatInt(j.ID, 10), "kind", j.Kind, "resource", j.Resource, "pod", j.Pod,
		"state", j.State, "attempts", strconv.Itoa(j.Attempts), "next_at", whenever(j.NextAt), "reason", j.Reason,
		"created_at", when(j.CreatedAt))
}

func whenever(t *time.Time) string {
	if t == nil {
		return ""
	}
	return when(*t)
}

// jobHint says where to look for the right ID: jobs that are done are forgotten
// after a while.
func jobHint(err error) error {
	if e, ok := errors.AsType[*client.Error](err); ok && slices.Contains([]int{404, 410}, e.Status) {
		return hinted{err, "see tricircle job list; jobs that are done are forgotten after a while"}
	}
	return err
}
