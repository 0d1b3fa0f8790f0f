package reconcile

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/bus"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// A vlan network is one in all pods because the operator's fabric joins its parts. A
// vxlan network's parts are joined here: the layer-2 agents of a pod send to the hosts
// that their Neutron knows to have a port of the network. So each pod is told of the
// hosts of the others: for each there is an agent that we play, and on each network
// one port "at" it. Servers need nothing of this to start, and a bus that is away
// keeps nothing but this from being done.

// Bus is a pod's message bus.
type Bus interface {
	Report(ctx context.Context, a bus.Agent) error
	Up(ctx context.Context, portID, host string) error
	Close()
}

// busTime bounds each call over a bus, and the way to it.
const busTime = 10 * time.Second

// bounded is a bus whose calls end in time, whatever else their caller waits for.
type bounded struct{ Bus }

func (b bounded) Report(ctx context.Context, a bus.Agent) error {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	return b.Bus.Report(ctx, a)
}

func (b bounded) Up(ctx context.Context, portID, host string) error {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	return b.Bus.Up(ctx, portID, host)
}

// dial connects to the pod's bus. Its errors are retried.
func (r *Reconciler) dial(ctx context.Context, podName string) (Bus, error) {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	b, err := r.bus(ctx, podName)
	if err != nil {
		return nil, busFailed(podName, err)
	}
	return bounded{b}, nil
}

// interconnect makes a pod know where the members of a network in the other pods are.
// One piece of work at a time per pod: agents are shared by its networks, and a bus
// that hangs holds up one worker.
func (r *Reconciler) interconnect(ctx context.Context, c *pod.Client, m store.Mapping) error {
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	unlock, err := r.locks.lock(soon, "interconnect/"+m.Pod, nil)
	if fault.Is(err, fault.Timeout) && ctx.Err() == nil {
		return &jobs.Again{After: time.Second, Reason: "another network of pod " + m.Pod + " has its turn at the message bus"}
	}
	if err != nil {
		return err
	}
	defer unlock()
	here, err := r.store.FindMapping(ctx, store.Target{Kind: store.KindNetwork, ID: m.ID, Pod: m.Pod})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	j := &joint{r: r, c: c, of: m.Target, podNetwork: here.PodID}
	if !m.Wanted {
		if err := j.settle(ctx, nil); err != nil {
			return err
		}
		return r.store.Forget(ctx, m.Target)
	}
	if j.podNetwork == "" {
		return &jobs.Again{After: 2 * time.Second, Reason: "the network is not in pod " + m.Pod + " yet"}
	}
	agents, unplaced, err := r.elsewhere(ctx, m.Target)
	if err != nil {
		return err
	}
	if err := j.settle(ctx, agents); err != nil {
		return err
	}
	if len(unplaced) > 0 {
		// Nobody tells us when a pod has chosen a host. The longer it takes, the longer it may.
		wait := r.now().Sub(m.UpdatedAt) / 4
		return &jobs.Again{After: min(max(wait, time.Second), time.Minute), Reason: "a port in pod " + unplaced[0] + " has no host yet"}
	}
	return nil
}

// disconnect takes a network's interconnect out of a pod that the network is about to
// leave: its stand-ins would keep it.
func (r *Reconciler) disconnect(ctx context.Context, network store.Mapping) error {
	t := store.Target{Kind: store.KindInterconnect, ID: network.ID, Pod: network.Pod}
	if _, err := r.store.FindMapping(ctx, t); err != nil {
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
	if err := r.store.UnwantIn(ctx, t); err != nil {
		return err
	}
	return r.Ensure(ctx, t, nil)
}

// elsewhere are the hosts in other pods that have members of the network, as they
// show themselves in this one, and the pods in which a member waits for its host.
func (r *Reconciler) elsewhere(ctx context.Context, here store.Target) (agents map[string]bus.Agent, unplaced []string, err error) {
	all, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: store.KindNetwork, ID: here.ID})
	if err != nil {
		return nil, nil, err
	}
	agents = map[string]bus.Agent{}
	for _, m := range all {
		if m.Pod == here.Pod || !m.Wanted || m.PodID == "" {
			continue
		}
		c, err := r.pods.Client(ctx, m.Pod)
		if err != nil {
			return nil, nil, err
		}
		members, err := list[plan.Member](ctx, c, store.KindPort, url.Values{"network_id": {m.PodID}, "fields": memberFields})
		if err != nil {
			return nil, nil, err
		}
		hosts, waiting := plan.Hosts(members)
		if waiting {
			unplaced = append(unplaced, m.Pod)
		}
		ends, err := tunnelEnds(ctx, c, hosts)
		if err != nil {
			return nil, nil, err
		}
		for _, h := range hosts {
			if ends[h] == "" {
				return nil, nil, fault.New(fault.Unavailable, "", "host %s of pod %s has no Open vSwitch agent with a tunnel address", h, m.Pod)
			}
			name := topology.StandInHost(m.Pod, h)
			agents[name] = bus.Agent{Host: name, TunnelIP: ends[h]}
		}
	}
	return agents, unplaced, nil
}

var memberFields = []string{"id", "device_owner", "device_id", "binding:host_id", "binding:vif_type", "status"}

// agent is a layer-2 agent of a pod.
type agent struct {
	ID             string `json:"id"`
	Host           string `json:"host"`
	Alive          bool   `json:"alive"`
	Configurations struct {
		TunnelIP string `json:"tunneling_ip"`
	} `json:"configurations"`
}

const (
	kindAgent   = "agent"
	agentBinary = "neutron-openvswitch-agent"
	// hostBatch keeps the address of a request under 8 KB.
	hostBatch = 50
)

// agentsOn are the pod's layer-2 agents on the hosts; of all hosts when none is named.
func agentsOn(ctx context.Context, c *pod.Client, hosts ...string) (all []agent, err error) {
	if len(hosts) == 0 {
		return list[agent](ctx, c, kindAgent, url.Values{"binary": {agentBinary}})
	}
	for some := range slices.Chunk(hosts, hostBatch) {
		found, err := list[agent](ctx, c, kindAgent, url.Values{"binary": {agentBinary}, "host": some})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// tunnelEnds are the addresses of the hosts' tunnels.
func tunnelEnds(ctx context.Context, c *pod.Client, hosts []string) (map[string]string, error) {
	ends := map[string]string{}
	if len(hosts) == 0 {
		return ends, nil
	}
	all, err := agentsOn(ctx, c, hosts...)
	for _, a := range all {
		ends[a.Host] = a.Configurations.TunnelIP
	}
	return ends, err
}

// joint is one network in one pod, where it meets those of the others.
type joint struct {
	r          *Reconciler
	c          *pod.Client
	of         store.Target
	podNetwork string
}

// settle makes the pod have one stand-in for each of the hosts, all of them up.
func (j *joint) settle(ctx context.Context, agents map[string]bus.Agent) error {
	if j.podNetwork == "" {
		return nil
	}
	found, err := j.standIns(ctx)
	if err != nil {
		return err
	}
	hosts := slices.Sorted(maps.Keys(agents))
	todo := plan.Interconnect(hosts, found)
	if todo.None() {
		return nil
	}
	if err := j.remove(ctx, todo.Remove); err != nil {
		return err
	}
	if err := j.raise(ctx, todo, agents); err != nil {
		return err
	}
	if found, err = j.standIns(ctx); err != nil {
		return err
	}
	if !plan.Interconnect(hosts, found).None() {
		return &jobs.Again{After: 2 * time.Second, Reason: "pod " + j.of.Pod + " has not taken up all hosts of the others yet"}
	}
	return nil
}

func (j *joint) standIns(ctx context.Context) ([]plan.Member, error) {
	return list[plan.Member](ctx, j.c, store.KindPort,
		url.Values{"network_id": {j.podNetwork}, "device_owner": {topology.OwnerStandIn}, "fields": memberFields})
}

// raise makes what is missing, and has the pod believe that it is plugged in. An agent
// must live when its port is bound, so it reports first.
func (j *joint) raise(ctx context.Context, todo plan.StandIns, agents map[string]bus.Agent) error {
	if len(todo.Make)+len(todo.Raise) == 0 {
		return nil
	}
	b, err := j.r.dial(ctx, j.of.Pod)
	if err != nil {
		return err
	}
	defer b.Close()
	up := todo.Raise
	for _, host := range todo.Make {
		if err := b.Report(ctx, agents[host]); err != nil {
			return busFailed(j.of.Pod, err)
		}
		made, err := create[plan.Member](ctx, j.c, store.KindPort, plan.NewStandIn(j.of.ID, j.podNetwork, host))
		if err != nil {
			return err
		}
		up = append(up, made)
	}
	for _, m := range up {
		if err := b.Report(ctx, agents[m.Host]); err != nil {
			return busFailed(j.of.Pod, err)
		}
		if err := b.Up(ctx, m.ID, m.Host); err != nil {
			return busFailed(j.of.Pod, err)
		}
	}
	return nil
}

// busFailed is an error that is retried; those that say more keep their kind.
func busFailed(podName string, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return &fault.Error{Kind: fault.Unavailable, Pod: podName, Err: err, Message: err.Error()}
}

// remove takes stand-ins away, then the agents that have none left: as long as its
// agent is known, the pod tells its switches that a port has gone.
func (j *joint) remove(ctx context.Context, gone []plan.Member) error {
	if len(gone) == 0 {
		return nil
	}
	hosts := map[string]bool{}
	for _, m := range gone {
		if err := remove(ctx, j.c, store.KindPort, m.ID); err != nil {
			return err
		}
		hosts[m.Host] = true
	}
	used, err := standInHosts(ctx, j.c)
	if err != nil {
		return err
	}
	all, err := agentsOn(ctx, j.c)
	if err != nil {
		return err
	}
	for _, a := range all {
		// One that is dead and unused is what a crash left between the two.
		if topology.IsStandIn(a.Host) && !used[a.Host] && (hosts[a.Host] || !a.Alive) {
			if err := remove(ctx, j.c, kindAgent, a.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// standInHosts are the hosts of other pods that have stand-ins in this one.
func standInHosts(ctx context.Context, c *pod.Client) (map[string]bool, error) {
	all, err := list[plan.Member](ctx, c, store.KindPort, url.Values{"device_owner": {topology.OwnerStandIn}, "fields": {"id", "binding:host_id"}})
	used := make(map[string]bool, len(all))
	for _, m := range all {
		used[m.Host] = true
	}
	return used, err
}

// RunInterconnects has the agents that we play report, until ctx ends: a pod takes one
// that is silent for dead, tells its operator so, and binds no more ports to it. Each
// pod is looked after by one replica.
func (r *Reconciler) RunInterconnects(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pods, err := r.store.ListPods(ctx)
		if err != nil {
			r.log.WarnContext(ctx, "cannot keep interconnects alive", "error", err)
			continue
		}
		for _, p := range pods {
			if p.MessageBus == "" {
				continue
			}
			if err := r.keepAlive(ctx, p.Name, interval); err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "cannot keep the interconnect of a pod alive: new hosts do not come to it", "pod", p.Name, "error", err)
			}
		}
	}
}

func (r *Reconciler) keepAlive(ctx context.Context, podName string, interval time.Duration) error {
	mine, err := r.store.Acquire(ctx, "interconnect-alive/"+podName, uuid.NewString(), interval*3/4)
	if err != nil || !mine {
		return err
	}
	return r.KeepAlive(ctx, podName)
}

// KeepAlive has each agent that we play in the pod report once.
func (r *Reconciler) KeepAlive(ctx context.Context, podName string) error {
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return err
	}
	used, err := standInHosts(ctx, c)
	if err != nil || len(used) == 0 {
		return err
	}
	all, err := agentsOn(ctx, c, slices.Sorted(maps.Keys(used))...)
	if err != nil {
		return err
	}
	b, err := r.dial(ctx, podName)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, a := range all {
		if err := b.Report(ctx, bus.Agent{Host: a.Host, TunnelIP: a.Configurations.TunnelIP}); err != nil {
			return err
		}
	}
	return nil
}
