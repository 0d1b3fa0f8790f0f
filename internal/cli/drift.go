package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

const driftHelp = `Show which flavors and key pairs are not the same in every pod, and which networks, ports,
security groups, routers and floating IPs in a pod are not as the region wants them, by
asking all pods now.

Problems are:
  missing    the region made it, and a pod has none, or no longer
  different  the same ID (of a key pair: user and name) with other content
  other id   the same name with another ID; the region shows both
  only in    made in some pods by their operators. This is no drift: servers that use
             it go to those pods. Networks and ports that only a pod has show like this

Every census (pods.census) looks for networks, ports, groups, routers and floating IPs
that were changed or deleted in a pod by hand, and logs what it finds. With "tricircle pod set POD --drift
repair" it also puts them right.

A change that a pod is yet to get, because it was away, shows as well, with what its job
waits for. Nothing else is put right by itself: see "tricircle drift repair". Key pairs
are looked at for users who have something in the region.

The exit code is 1 if there is drift. Pods that do not answer are named on stderr.`

func driftCommand(s *session) *cobra.Command {
	var kind, pod string
	cmd := &cobra.Command{
		Use: "drift", Short: "What is not the same in every pod", Args: noArgs, Long: driftHelp,
		Example: `  tricircle drift
  tricircle drift --kind flavor --pod pod2
  tricircle drift -f json
  tricircle drift repair flavor m1.small --like pod1 --dry-run`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			report, err := c.Drift(cmd.Context(), kind, pod)
			if err != nil {
				return err
			}
			if err := s.print(report, driftGrid(report.Differences)); err != nil {
				return err
			}
			for _, away := range report.Away {
				fmt.Fprintf(s.stderr, "not looked at: %s\n", away.Reason)
			}
			if report.Drift() {
				return errFindings
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "only this kind: "+strings.Join(admin.DriftKinds(), ", "))
	cmd.Flags().StringVar(&pod, "pod", "", "only what concerns this pod")
	register(cmd, "kind", cobra.FixedCompletions(admin.DriftKinds(), cobra.ShellCompDirectiveNoFileComp))
	completePods(s, cmd, "pod")
	cmd.AddCommand(driftRepair(s), driftAdopt(s))
	return cmd
}

func completePods(s *session, cmd *cobra.Command, flags ...string) {
	for _, flag := range flags {
		register(cmd, flag, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return s.podNames(cmd)
		})
	}
}

func driftGrid(all []plan.Difference) grid {
	g := grid{header: []string{"Kind", "Name", "ID", "Problem", "Pods", "Difference"}}
	for _, d := range all {
		for _, text := range differenceTexts(d) {
			g.rows = append(g.rows, []string{d.Kind, d.Name, d.ID, string(d.Problem), strings.Join(d.Pods, ", "), text})
		}
	}
	return g
}

// differenceTexts is a line per field: "vcpus: 2 in pod1, 4 in pod2".
func differenceTexts(d plan.Difference) []string {
	var lines []string
	for _, f := range d.Fields {
		var values []string
		if wanted, ok := f.Values[reconcile.Wants]; ok {
			values = append(values, orQuotes(wanted)+" is wanted")
		}
		for _, pod := range d.Pods {
			value, ok := f.Values[pod]
			if value = orQuotes(value); !ok {
				value = "none"
			}
			values = append(values, value+" in "+pod)
		}
		lines = append(lines, f.Field+": "+strings.Join(values, ", "))
	}
	for _, pod := range slices.Sorted(maps.Keys(d.Waiting)) {
		text := "a job is about to put it right in " + pod
		if reason := d.Waiting[pod]; reason != "" {
			text += ": " + reason
		}
		lines = append(lines, text)
	}
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

func orQuotes(value string) string {
	if value == "" {
		return `""`
	}
	return value
}

const repairHelp = `Make a flavor or key pair the same in every pod, or a network, port, security group,
router or floating IP, named by its ID, in its pods as the region wants it.

--like names the pod that has it right; without it, it becomes what the region has on
record, which is what was last asked for through the region. Pods that have none get it,
unless --pod limits the repair to one pod.

Description, extra specs and access of a flavor are changed in place. All else of a
flavor, and a key pair, cannot be changed: it is deleted and made anew with the same ID,
which --replace must allow, and so must it be where another flavor has the name.
Servers that exist keep what they were made with.

A pod that is away is left out: repair it again once it is back.`

func driftRepair(s *session) *cobra.Command {
	o := reconcile.Repair{}
	cmd := &cobra.Command{
		Use: "repair KIND NAME", Short: "Make a thing the same in every pod", Long: repairHelp,
		Example: `  tricircle drift repair flavor m1.small --like pod1 --dry-run
  tricircle drift repair flavor m1.small --like pod1 --replace
  tricircle drift repair keypair deploy --user 7d0c1b3cd3de4f1f8b0f4d2f1f3a5c11 --like pod2
  tricircle drift repair port 0d6f7a0e-3f4d-4d38-9a44-2b1a1c5b3c7e --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{fmt.Errorf("%s needs a kind and a name or ID", cmd.CommandPath())}
			}
			if !slices.Contains(admin.DriftKinds(), args[0]) {
				return usageError{fmt.Errorf("%q is not one of %s", args[0], strings.Join(admin.DriftKinds(), ", "))}
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return admin.DriftKinds(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Kind, o.Name = args[0], args[1]
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			done, err := c.RepairDrift(cmd.Context(), o)
			if err != nil {
				return err
			}
			g := grid{header: []string{"Pod", "State", "Actions", "Reason"}}
			for _, step := range done.Steps {
				g.rows = append(g.rows, []string{step.Pod, step.State, strings.Join(step.Actions, "\n"), step.Reason})
			}
			return s.print(done, g)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Like, "like", "", "the pod that has it right; default: the region's record")
	f.StringVar(&o.Pod, "pod", "", "repair only this pod")
	f.StringVar(&o.User, "user", "", "whose key pair it is: the user's ID")
	f.BoolVar(&o.DryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&o.Replace, "replace", false, "allow to delete and make anew what cannot be changed")
	completePods(s, cmd, "like", "pod")
	return cmd
}

const adoptHelp = `Take a network that only a pod has ("only in") into the region, with its subnets, its
ports and the security groups that they are in. All keep their addresses and their
project; servers on it notice nothing. From then on the region changes it, and servers
in other pods can join: the segment must be one of the region's physical networks.
Networks of other types stay in their pod.

A default group takes over the pod's rules in addition to those that the region has.
Networks with a router are refused.`

func driftAdopt(s *session) *cobra.Command {
	var pod string
	cmd := &cobra.Command{
		Use: "adopt NETWORK", Short: "Take a network that only a pod has into the region", Long: adoptHelp,
		Example: "  tricircle drift adopt 1397f8bc-b911-46eb-b6df-29bdd10ce7e1 --pod pod1",
		Args:    oneArg("the pod's ID of a NETWORK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if pod == "" {
				return usageError{errors.New("--pod is needed: which pod has the network")}
			}
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			n, err := c.Adopt(cmd.Context(), pod, args[0])
			if err != nil {
				return err
			}
			return s.print(n, fields("id", n.ID, "name", n.Name, "project_id", n.ProjectID, "network_type", n.Type,
				"segmentation_id", strconv.Itoa(n.Segment)))
		},
	}
	cmd.Flags().StringVar(&pod, "pod", "", "the pod that has it")
	completePods(s, cmd, "pod")
	return cmd
}
