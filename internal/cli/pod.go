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
	"github.com/tricircle/tricircle/internal/admin/client"
)

func podCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "pod", Short: "Manage the OpenStack clouds behind the region", Args: noArgs, RunE: group,
		Long: `A pod is one stock OpenStack cloud behind Tricircle. Users never see pods: they see
availability zones, and each zone holds one or more pods.`,
		Example: `  tricircle pod add pod1 --region Pod1 --zone az1
  tricircle pod list
  tricircle pod check pod1`,
	}
	cmd.AddCommand(podAdd(s), podList(s), podShow(s), podCheck(s), podSet(s), podCordon(s), podUncordon(s), podRemove(s))
	return cmd
}

func podAdd(s *session) *cobra.Command {
	var spec admin.PodSpec
	var dhcpPorts int
	var noCheck bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a cloud to the region", Args: oneArg("the new pod's NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Add a cloud to the region. From then on users may create servers there.

The pod is checked, and what is wrong with it is shown; it is added all the same,
since it may be repaired later ("tricircle pod check" looks again).

Credentials are given by reference, never by value: --cloud names a cloud of the
clouds.yaml on the machine where "tricircle serve" runs, or with "env:PREFIX_" the
variables PREFIX_OS_USERNAME and so on of its environment. Without --cloud
Tricircle's own account is used, which suits clouds with one Keystone.`,
		Example: `  tricircle pod add pod1 --region Pod1 --zone az1
  tricircle pod add paris --region FR --zone eu-west --pod-zone nova --cloud paris-admin
  tricircle pod add edge7 --region Edge7 --zone edge --dhcp-ports 2 --no-check`,
		RunE: func(cmd *cobra.Command, args []string) error {
			spec.Name, spec.DHCPPorts = args[0], &dhcpPorts
			if spec.Region == "" || spec.Zone == "" {
				return usageError{errors.New("tricircle pod add needs --region and --zone")}
			}
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			p, findings, err := c.AddPod(cmd.Context(), spec, !noCheck)
			if err != nil {
				return err
			}
			if err := s.print(p, podFields(p)); err != nil {
				return err
			}
			s.warn(findings, p.Name)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&spec.Region, "region", "", "the region of its endpoints in Keystone (required)")
	f.StringVar(&spec.Zone, "zone", "", "the availability zone that users see (required)")
	f.StringVar(&spec.PodZone, "pod-zone", "", "the availability zone to use within the pod (default: the pod's own default)")
	f.StringVar(&spec.Cloud, "cloud", "", "credentials: a cloud of the server's clouds.yaml, or env:PREFIX_")
	f.StringVar(&spec.Interface, "interface", "public", "endpoints to use: public, internal or admin")
	f.IntVar(&dhcpPorts, "dhcp-ports", 1, "addresses to reserve per network: the pod's dhcp_agents_per_network")
	f.BoolVar(&spec.Cordoned, "cordoned", false, "take nothing new until uncordoned")
	f.StringVar(&spec.MessageBus, "message-bus", "", "where the URL of the pod's message bus is: env:NAME or file:PATH (default: none is granted)")
	f.BoolVar(&noCheck, "no-check", false, "do not look whether the pod works")
	register(cmd, "interface", cobra.FixedCompletions([]string{"public", "internal", "admin"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// warn tells on stderr what a check found, so that stdout stays one value.
func (s *session) warn(findings []admin.Finding, name string) {
	bad := 0
	for _, f := range findings {
		if f.Level == admin.LevelOK {
			continue
		}
		bad++
		fmt.Fprintf(s.stderr, "%s: %s: %s\n", f.Level, f.What, f.Message)
	}
	if bad > 0 {
		fmt.Fprintf(s.stderr, "look again, with hints: tricircle pod check %s\n", name)
	}
}

func podList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the pods", Args: noArgs,
		Example: `  tricircle pod list
  tricircle pod list -f json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			pods, err := c.Pods(cmd.Context())
			if err != nil {
				return err
			}
			g := grid{header: []string{"Name", "Region", "Zone", "State", "Cordoned", "Reason"}}
			for _, p := range pods {
				g.rows = append(g.rows, []string{p.Name, p.Region, p.Zone, p.State, yesNo(p.Cordoned), p.Reason})
			}
			return s.print(pods, g)
		},
	}
}

func podShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show one pod and what is there", Args: oneArg("a pod's NAME"),
		Example:           "  tricircle pod show pod1",
		ValidArgsFunction: s.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			p, err := c.Pod(cmd.Context(), args[0])
			if err != nil {
				return podHint(err)
			}
			return s.print(p, podFields(p))
		},
	}
}

func podFields(p admin.Pod) grid {
	var counts []string
	for _, kind := range slices.Sorted(maps.Keys(p.Resources)) {
		counts = append(counts, fmt.Sprintf("%s: %d", kind, p.Resources[kind]))
	}
	return fields(
		"name", p.Name, "region", p.Region, "zone", p.Zone, "pod_zone", p.PodZone, "cloud", p.Cloud,
		"interface", p.Interface, "dhcp_ports", strconv.Itoa(p.DHCPPorts), "cordoned", yesNo(p.Cordoned), "drift", p.Drift,
		"message_bus", p.MessageBus, "number", strconv.Itoa(p.Number),
		"state", p.State, "since", when(p.Since), "reason", p.Reason, "resources", strings.Join(counts, ", "),
		"created_at", when(p.CreatedAt), "updated_at", when(p.UpdatedAt))
}

func podCheck(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "check NAME", Short: "Find out what is wrong with a pod", Args: oneArg("a pod's NAME"),
		Long: `Ask a pod everything that Tricircle needs from it: credentials and role, region and
endpoints, answers of the services, API versions, network extensions, physical
networks, DHCP agents. It changes nothing. The exit code is 1 when there is an error.`,
		Example: `  tricircle pod check pod1
  tricircle pod check pod1 -f json`,
		ValidArgsFunction: s.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			findings, err := c.CheckPod(cmd.Context(), args[0])
			if err != nil {
				return podHint(err)
			}
			g := grid{header: []string{"Level", "What", "Finding"}}
			failed := false
			for _, f := range findings {
				text := f.Message
				if f.Hint != "" {
					text += "\n  " + f.Hint
				}
				g.rows = append(g.rows, []string{string(f.Level), f.What, text})
				failed = failed || f.Level == admin.LevelError
			}
			if err := s.print(findings, g); err != nil {
				return err
			}
			if failed {
				return errFindings
			}
			return nil
		},
	}
}

func podSet(s *session) *cobra.Command {
	var region, zone, podZone, cloud, iface, drift, messageBus string
	var dhcpPorts int
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a pod", Args: oneArg("a pod's NAME"),
		Long: "Change what is given, leave the rest. The region can only change while the pod holds nothing.",
		Example: `  tricircle pod set pod1 --dhcp-ports 2
  tricircle pod set pod1 --cloud pod1-admin --interface internal
  tricircle pod set pod1 --drift repair`,
		ValidArgsFunction: s.completePods,
	}
	f := cmd.Flags()
	f.StringVar(&region, "region", "", "the region of its endpoints in Keystone")
	f.StringVar(&zone, "zone", "", "the availability zone that users see")
	f.StringVar(&podZone, "pod-zone", "", "the availability zone to use within the pod; empty: its default")
	f.StringVar(&cloud, "cloud", "", "credentials: a cloud of the server's clouds.yaml, env:PREFIX_, or empty: Tricircle's own")
	f.StringVar(&iface, "interface", "", "endpoints to use: public, internal or admin")
	f.IntVar(&dhcpPorts, "dhcp-ports", 1, "addresses to reserve per network")
	f.StringVar(&drift, "drift", "report", "what to do about networks, ports and groups that were changed there by hand: report or repair")
	f.StringVar(&messageBus, "message-bus", "", "where the URL of the pod's message bus is: env:NAME, file:PATH, or empty: none is granted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var change admin.PodChange
		for name, to := range map[string]func(){
			"region":     func() { change.Region = &region },
			"zone":       func() { change.Zone = &zone },
			"pod-zone":   func() { change.PodZone = &podZone },
			"cloud":      func() { change.Cloud = &cloud },
			"interface":  func() { change.Interface = &iface },
			"dhcp-ports": func() { change.DHCPPorts = &dhcpPorts },
			"drift":      func() { change.Drift = &drift },

			"message-bus": func() { change.MessageBus = &messageBus },
		} {
			if f.Changed(name) {
				to()
			}
		}
		if change == (admin.PodChange{}) {
			return usageError{errors.New("nothing to change is given")}
		}
		return s.changePod(cmd, args[0], change)
	}
	return cmd
}

func podCordon(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "cordon NAME", Short: "Let a pod take nothing new", Args: oneArg("a pod's NAME"),
		Long: `Let a pod take no new servers. What is there goes on as before. Projects that used
the pod get another one of the zone.`,
		Example:           "  tricircle pod cordon pod1",
		ValidArgsFunction: s.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			cordoned := true
			return s.changePod(cmd, args[0], admin.PodChange{Cordoned: &cordoned})
		},
	}
}

func podUncordon(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "uncordon NAME", Short: "Let a pod take new servers again", Args: oneArg("a pod's NAME"),
		Example:           "  tricircle pod uncordon pod1",
		ValidArgsFunction: s.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			cordoned := false
			return s.changePod(cmd, args[0], admin.PodChange{Cordoned: &cordoned})
		},
	}
}

func (s *session) changePod(cmd *cobra.Command, name string, change admin.PodChange) error {
	c, err := s.connect(cmd.Context())
	if err != nil {
		return err
	}
	p, err := c.ChangePod(cmd.Context(), name, change)
	if err != nil {
		return podHint(err)
	}
	return s.print(p, podFields(p))
}

func podRemove(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove a pod that holds nothing", Args: oneArg("a pod's NAME"),
		Long: `Remove a pod. Tricircle refuses while it has servers, networks or anything else
there, and says how many: delete those first. The cloud itself is not touched.`,
		Example: `  tricircle pod cordon pod1
  tricircle pod remove pod1`,
		ValidArgsFunction: s.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			return podHint(c.RemovePod(cmd.Context(), args[0]))
		},
	}
}

// podHint says where to look for the right name.
func podHint(err error) error {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == 404 {
		return hinted{err, "see tricircle pod list"}
	}
	return err
}
