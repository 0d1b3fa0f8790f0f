package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/trace"
)

func networkCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "network", Short: "How networks lie across pods", Args: noArgs, RunE: group,
		Example: `  tricircle network trace 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11 0d6f7a0e-3f4d-4d38-9a44-2b1a1c5b3c7e
  tricircle network blocks 8c1f2d60-5d4c-4f0e-a1d6-0a4b7e9f3c21`,
	}
	cmd.AddCommand(networkTrace(s), networkBlocks(s))
	return cmd
}

const blocksHelp = `Show how the addresses of a network's subnets are divided among pods.

A pod's servers get their addresses out of blocks, slices of the subnet that belong to
the pod. So routers in pods without the network need one route per block, not one per
server. A pod takes another block when its own are full, beside its own while there is
room; each line under "Blocks" is one route. "Outside" counts ports of the pod whose
address lies elsewhere: users chose it, or made the port before its pod was known. They
work as well; packets from pods without the network may take a detour to them.`

func networkBlocks(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "blocks NETWORK", Short: "Show how a network's addresses are divided among pods", Args: oneArg("the ID of a NETWORK"),
		ValidArgsFunction: cobra.NoFileCompletions, Long: blocksHelp,
		Example: "  tricircle network blocks 8c1f2d60-5d4c-4f0e-a1d6-0a4b7e9f3c21",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			all, err := c.Blocks(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(all, blocksGrid(all))
		},
	}
}

func blocksGrid(all []admin.SubnetBlocks) grid {
	g := grid{header: []string{"Subnet", "Pod", "Blocks", "Addresses", "Used", "Outside"}}
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	for _, s := range all {
		for _, p := range s.Pods {
			g.rows = append(g.rows, []string{s.CIDR, p.Pod, strings.Join(p.Blocks, "\n"), number(p.Addresses), number(p.Used), number(p.Outside)})
		}
		g.rows = append(g.rows, []string{s.CIDR, "(free)", strconv.Itoa(s.Free) + " blocks", "", "", ""})
	}
	return g
}

const traceHelp = `Follow packets between two servers, or ports, named by ID: which way they are meant to
take, hop by hop, and whether the pods have each hop as it should be.

The way is that of the region's own state: ports, security groups, networks, the router
in each pod, its interfaces and routes, the bridge between pods. The pods' Network APIs
are asked about each hop; nothing is changed. States:
  ok         the pod has it as it should be
  assumed    no API tells: whether the fabric carries a network between pods
  otherwise  what is wrong, and if a job is about to put it right, what it waits for

There and back are shown, for each IP version that both have. Groups are asked about the
way there; answers of stateful groups pass by themselves. What runs in the servers, and
routes that tenants give to routers, is not followed.

The exit code is 1 if a hop is not as it should be.`

func networkTrace(s *session) *cobra.Command {
	var traffic trace.Traffic
	cmd := &cobra.Command{
		Use: "trace SERVER SERVER", Short: "Follow packets between two servers", Long: traceHelp,
		Example: `  tricircle network trace 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11 0d6f7a0e-3f4d-4d38-9a44-2b1a1c5b3c7e
  tricircle network trace 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11 0d6f7a0e-3f4d-4d38-9a44-2b1a1c5b3c7e --protocol tcp --port 22`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{fmt.Errorf("%s needs the IDs of two servers", cmd.CommandPath())}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			report, err := c.Trace(cmd.Context(), args[0], args[1], traffic)
			if err != nil {
				return err
			}
			if err := s.print(report, traceGrid(report)); err != nil {
				return err
			}
			if report.Problems() {
				return errFindings
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&traffic.Protocol, "protocol", "icmp", "what is to pass: icmp, tcp, udp, or another protocol")
	cmd.Flags().IntVar(&traffic.Port, "port", 0, "the destination's port, of TCP and UDP")
	return cmd
}

func traceGrid(r trace.Report) grid {
	g := grid{header: []string{"Way", "Hop", "Pod", "Kind", "What", "State"}}
	for _, p := range r.Paths {
		way := "there"
		if p.Back {
			way = "back"
		}
		way += fmt.Sprintf(" (IPv%d)", map[bool]int{true: 4, false: 6}[p.From.Is4()])
		for i, h := range p.Hops {
			state := h.Problem
			switch {
			case state != "":
			case h.Assumed:
				state = "assumed"
			default:
				state = "ok"
			}
			g.rows = append(g.rows, []string{way, strconv.Itoa(i + 1), h.Pod, strings.ReplaceAll(h.Kind, "_", " "), h.What, state})
		}
	}
	return g
}
