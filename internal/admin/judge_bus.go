package admin

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/bus"
	"github.com/tricircle/tricircle/internal/store"
)

// askBus looks whether the pod's message bus lets us in; that of a pod that has not
// granted it is left alone.
func (a *Admin) askBus(ctx context.Context, row store.Pod) error {
	if row.MessageBus == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	url, err := a.Fleet.MessageBus(ctx, row.Name)
	if err != nil {
		return err
	}
	c, err := bus.Dial(ctx, string(url))
	if err == nil {
		c.Close()
	}
	return err
}

// tunnel is how a layer-2 agent sends to other hosts.
type tunnel struct {
	End  string // its address
	Told bool   // it sends where Neutron tells it to
}

func (c configurations) tunnel() (t tunnel) {
	_ = json.Unmarshal(c["tunneling_ip"], &t.End) // absent: none
	_ = json.Unmarshal(c["l2_population"], &t.Told)
	return t
}

// judgeBus says whether vxlan networks can reach this pod.
func judgeBus(row store.Pod, f facts) []Finding {
	const what = "message bus"
	if row.MessageBus == "" {
		return nil
	}
	if f.busErr != nil {
		return []Finding{{LevelError, what, said(f.busErr) + ": vxlan networks do not reach other pods",
			"see what " + row.MessageBus + " holds on the Tricircle server: amqp://USER:PASSWORD@HOST:PORT/VHOST of the pod's Neutron"}}
	}
	var deaf []string
	for _, a := range f.agents {
		if a.Type == "Open vSwitch agent" && (a.Tunnel.End == "" || !a.Tunnel.Told) {
			deaf = append(deaf, a.Host)
		}
	}
	if len(deaf) > 0 {
		slices.Sort(deaf)
		return []Finding{{LevelWarn, what, "no tunnels that follow Neutron on " + strings.Join(deaf, ", ") + ": vxlan networks do not reach other pods there",
			"set local_ip, tunnel_types = vxlan and l2_population = true for the Open vSwitch agents, and the mechanism driver l2population"}}
	}
	return []Finding{{LevelOK, what, "lets us in; all hosts have tunnels", ""}}
}
