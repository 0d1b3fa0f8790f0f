package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tricircle/tricircle/internal/fleet"
)

func explainCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain", Short: "Why something is where it is", Args: noArgs, RunE: group,
		Example: "  tricircle explain server 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11",
	}
	cmd.AddCommand(explainServer(s))
	return cmd
}

// question is a server that is not made.
type question struct {
	flavor, image, zone, project, host, group string
	networks, volumes                         []string
	count                                     int
	spread                                    bool
}

func explainServer(s *session) *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use: "server [ID]", Short: "Show why a server is in its pod, or where one would go", Args: atMostOne,
		ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Show why each pod was chosen or passed over.

With the ID of a server, or of the request that made it, or that failed: as it was
decided then. Decisions are kept for a week.

With --flavor and what else a server may be asked to have: as it would be decided
now. Every pod of the zone is asked, and nothing is made. Flavor, image, network and
project may be given by name.

Pods are passed over by filters. Those that are left are ordered by weights, one
after the other: room (below 0: it is believed to be full), apart (servers of the
same request that are there), binding (1: the project's pod in the zone), image
(below 0: it must be copied there first), share (spreads the projects by the memory
that is free).`,
		Example: `  tricircle explain server 5b0f3c5a-4d0e-4a38-9a2e-3f1f0f0d4c11
  tricircle explain server req-0f6f3a52-6a3c-4b8e-9a59-8b2c3d1f5e70 -f json
  tricircle explain server --flavor m1.tiny --image cirros --zone az1 --project demo`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && cmd.LocalNonPersistentFlags().Changed("flavor") || len(args) == 0 && q.flavor == "" {
				return usageError{errors.New("tricircle explain server needs either the ID of a server or a request, or --flavor")}
			}
			if len(args) == 1 {
				return showDecision(cmd, s, args[0])
			}
			return showExplanation(cmd, s, q)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.flavor, "flavor", "", "flavor, by ID or name")
	f.StringVar(&q.image, "image", "", "image to boot from, by ID or name")
	f.StringVar(&q.zone, "zone", "", "availability zone; zone:host names a host")
	f.StringVar(&q.project, "project", "", "project, by ID or name (default: your own)")
	f.StringVar(&q.group, "group", "", "server group, by ID")
	f.StringVar(&q.host, "host", "", "host, by the region's name for it")
	f.StringArrayVar(&q.networks, "network", nil, "network, by ID or name; may be repeated")
	f.StringArrayVar(&q.volumes, "volume", nil, "volume to attach, by ID; may be repeated. Without --image the first is booted from")
	f.IntVar(&q.count, "count", 1, "number of servers")
	f.BoolVar(&q.spread, "spread", false, "with the hint tricircle:spread=pods")
	return cmd
}

func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{fmt.Errorf("%s takes one argument, but got %q too", cmd.CommandPath(), args[1])}
	}
	return nil
}

func showDecision(cmd *cobra.Command, s *session, id string) error {
	c, err := s.connect(cmd.Context())
	if err != nil {
		return err
	}
	d, err := c.Decision(cmd.Context(), id)
	if err != nil {
		return err
	}
	return s.print(d, storyGrid(d.Record))
}

func showExplanation(cmd *cobra.Command, s *session, q question) error {
	c, err := s.connect(cmd.Context())
	if err != nil {
		return err
	}
	story, err := c.ExplainServer(cmd.Context(), q.request())
	if err != nil {
		return err
	}
	return s.print(story, storyGrid(story))
}

// request is the question in Nova's words.
func (q question) request() map[string]any {
	server := map[string]any{"flavorRef": q.flavor, "min_count": q.count}
	for field, value := range map[string]string{"imageRef": q.image, "availability_zone": q.zone, "host": q.host} {
		if value != "" {
			server[field] = value
		}
	}
	if len(q.networks) > 0 {
		networks := []map[string]string{}
		for _, n := range q.networks {
			networks = append(networks, map[string]string{"uuid": n})
		}
		server["networks"] = networks
	}
	if len(q.volumes) > 0 {
		server["block_device_mapping_v2"] = q.devices()
	}
	request := map[string]any{"server": server}
	if q.project != "" {
		request["project_id"] = q.project
	}
	hints := map[string]string{}
	if q.group != "" {
		hints["group"] = q.group
	}
	if q.spread {
		hints["tricircle:spread"] = "pods"
	}
	if len(hints) > 0 {
		request["os:scheduler_hints"] = hints
	}
	return request
}

func (q question) devices() []map[string]any {
	devices := []map[string]any{}
	for i, v := range q.volumes {
		index := -1
		if i == 0 && q.image == "" {
			index = 0
		}
		devices = append(devices, map[string]any{"source_type": "volume", "destination_type": "volume", "uuid": v, "boot_index": index})
	}
	return devices
}

// storyGrid has a line per choice and pod.
func storyGrid(story fleet.Record) grid {
	g := grid{header: []string{"Pod", "Zone", "Verdict", "Why"}}
	several := len(story.Steps) > 1
	if several {
		g.header = append([]string{"Choice"}, g.header...)
	}
	for i, step := range story.Steps {
		for _, v := range step.Verdicts {
			row := []string{v.Pod, v.Zone, verdict(v), reasons(v)}
			if v.Rank == 1 && step.Refused != "" {
				row[2], row[3] = "refused the server", step.Refused
			}
			if several {
				row = append([]string{strconv.Itoa(i + 1)}, row...)
			}
			g.rows = append(g.rows, row)
		}
	}
	return g
}

func verdict(v fleet.Verdict) string {
	switch {
	case v.Rank == 1:
		return "chosen"
	case v.Rank > 1 && !v.Asked:
		return fmt.Sprintf("number %d, not asked", v.Rank)
	case v.Rank > 1:
		return fmt.Sprintf("number %d", v.Rank)
	}
	return "passed over"
}

// reasons is why a pod was passed over, or what it weighs.
func reasons(v fleet.Verdict) string {
	if v.Reason != "" {
		return v.Reason
	}
	var all []string
	for _, w := range v.Weights {
		text := w.Name + " " + strconv.FormatFloat(w.Value, 'g', 4, 64)
		if w.Why != "" {
			text += " (" + w.Why + ")"
		}
		if w.Value != 0 || w.Why != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}
