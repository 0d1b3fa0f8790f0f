package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// Level says how much a finding matters.
type Level string

// The levels. Warn does not keep the pod from working; Error does.
const (
	LevelOK    Level = "ok"
	LevelWarn  Level = "warn"
	LevelError Level = "error"
)

// Finding is one thing that checking a pod has found, in words for the operator.
type Finding struct {
	Level   Level  `json:"level"`
	What    string `json:"what"` // "credentials", "compute endpoint", ...
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do about it
}

// checkTimeout bounds each question of a check.
const checkTimeout = 15 * time.Second

// facts are what was learnt of a pod; judge turns them into findings. An error
// means that the question was not answered.
type facts struct {
	loginErr    error
	account     string // who we are there, without secrets
	roles       []string
	regions     []string
	regionErr   error
	services    map[pod.Service]reached
	zones       []string
	zonesErr    error
	computes    []computeHost
	computesErr error
	agents      []agent
	agentsErr   error
	busErr      error
	exts        []string
	extsErr     error
}

// reached is what one service's endpoint answered.
type reached struct {
	url         string
	endpointErr error
	err         error
	max         string // highest microversion, where the service has them
}

type computeHost struct{ Host, State, Status string }

type agent struct {
	Type, Host string
	Alive      bool
	Networks   []string // physical networks that it has a bridge for
	Tunnel     tunnel
	Mapped     bool // it is of a kind that carries physical networks
}

// Check asks the pod everything that Tricircle will need from it.
func (a *Admin) Check(ctx context.Context, name string) ([]Finding, error) {
	row, err := a.Fleet.Pod(ctx, name)
	if err != nil {
		return nil, err
	}
	return judge(row, a.ask(ctx, row), a.PhysicalNetworks), nil
}

// ask gathers the facts. Nothing is asked of a pod that we cannot log in to.
func (a *Admin) ask(ctx context.Context, row store.Pod) facts {
	var f facts
	account, err := a.Fleet.Account(ctx, row.Name)
	if err != nil {
		f.loginErr = err
		return f
	}
	f.account = account.String()
	if f.roles, f.loginErr = account.Roles(ctx); f.loginErr != nil {
		return f
	}
	client, err := a.Fleet.Client(ctx, row.Name)
	if err != nil {
		f.loginErr = err
		return f
	}
	f.regions, f.regionErr = regionNames(ctx, account)
	f.services = reach(ctx, account, client, row)

	var wg sync.WaitGroup
	wg.Go(func() { f.zones, f.zonesErr = zoneNames(ctx, client) })
	wg.Go(func() { f.computes, f.computesErr = computeHosts(ctx, client) })
	wg.Go(func() { f.agents, f.agentsErr = networkAgents(ctx, client) })
	wg.Go(func() { f.busErr = a.askBus(ctx, row) })
	wg.Go(func() { f.exts, f.extsErr = extensions(ctx, client) })
	wg.Wait()
	return f
}

func regionNames(ctx context.Context, account *pod.Account) ([]string, error) {
	var out struct{ Regions []region }
	err := account.Keystone(ctx, http.MethodGet, "/regions", nil, nil, &out)
	names := make([]string, 0, len(out.Regions))
	for _, r := range out.Regions {
		names = append(names, r.ID)
	}
	slices.Sort(names)
	return names, err
}

// probes are the cheapest calls that need a token, and the header by which the
// service tells its highest microversion.
var probes = []struct {
	service      pod.Service
	path, latest string
}{
	{pod.Compute, "/flavors?limit=1", "compute latest"},
	{pod.Network, "/networks?limit=1&fields=id", ""},
	{pod.Volume, "/volumes?limit=1", "volume latest"},
	{pod.Image, "/images?limit=1", ""},
}

func reach(ctx context.Context, account *pod.Account, client *pod.Client, row store.Pod) map[pod.Service]reached {
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[pod.Service]reached{}
	for _, p := range probes {
		wg.Go(func() {
			var r reached
			r.url, r.endpointErr = account.Endpoint(ctx, p.service, row.Region, row.Interface)
			if r.endpointErr == nil {
				r.max, r.err = probe(ctx, client, p.service, p.path, p.latest)
			}
			mu.Lock()
			defer mu.Unlock()
			out[p.service] = r
		})
	}
	wg.Wait()
	return out
}

func probe(ctx context.Context, client *pod.Client, service pod.Service, target, latest string) (string, error) {
	path, query, _ := strings.Cut(target, "?")
	req := pod.Request{Service: service, Method: http.MethodGet, Path: path, RawQuery: query, Timeout: checkTimeout, Op: "check " + string(service)}
	if latest != "" {
		req.Header = http.Header{"Openstack-Api-Version": {latest}}
	}
	resp, err := client.Do(ctx, req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return "", pod.Upstream(client.Name(), req.Op, resp)
	}
	// What answers 200 with something else than JSON is a login page or a proxy.
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxKeystoneBody)).Decode(new(map[string]any)); err != nil {
		return "", fault.New(fault.Unavailable, "", "the answer is not JSON: is another server at that address?")
	}
	_, version, _ := strings.Cut(resp.Header.Get("Openstack-Api-Version"), " ")
	return version, nil
}

func get(ctx context.Context, client *pod.Client, service pod.Service, path string, out any) error {
	return client.JSON(ctx, pod.Request{
		Service: service, Method: http.MethodGet, Path: path, Timeout: checkTimeout, Op: "check " + path,
	}, nil, out)
}

func zoneNames(ctx context.Context, client *pod.Client) ([]string, error) {
	var out struct {
		Zones []struct {
			Name string `json:"zoneName"`
		} `json:"availabilityZoneInfo"`
	}
	err := get(ctx, client, pod.Compute, "/os-availability-zone", &out)
	names := make([]string, 0, len(out.Zones))
	for _, z := range out.Zones {
		names = append(names, z.Name)
	}
	return names, err
}

func computeHosts(ctx context.Context, client *pod.Client) ([]computeHost, error) {
	var out struct {
		Services []struct{ Binary, Host, State, Status string }
	}
	err := get(ctx, client, pod.Compute, "/os-services", &out)
	var hosts []computeHost
	for _, s := range out.Services {
		if s.Binary == "nova-compute" {
			hosts = append(hosts, computeHost{s.Host, s.State, s.Status})
		}
	}
	return hosts, err
}

func extensions(ctx context.Context, client *pod.Client) ([]string, error) {
	var out struct {
		Extensions []struct{ Alias string }
	}
	err := get(ctx, client, pod.Network, "/extensions", &out)
	aliases := make([]string, 0, len(out.Extensions))
	for _, e := range out.Extensions {
		aliases = append(aliases, e.Alias)
	}
	return aliases, err
}

func networkAgents(ctx context.Context, client *pod.Client) ([]agent, error) {
	var out struct {
		Agents []struct {
			Type           string         `json:"agent_type"`
			Host           string         `json:"host"`
			Alive          bool           `json:"alive"`
			Configurations configurations `json:"configurations"`
		}
	}
	err := get(ctx, client, pod.Network, "/agents", &out)
	var agents []agent
	for _, x := range out.Agents {
		if topology.IsStandIn(x.Host) {
			continue
		}
		networks, mapped := x.Configurations.networks()
		agents = append(agents, agent{Type: x.Type, Host: x.Host, Alive: x.Alive, Networks: networks, Mapped: mapped, Tunnel: x.Configurations.tunnel()})
	}
	return agents, err
}

// configurations is what an agent tells of itself, as far as physical networks go.
// Open vSwitch calls them bridge_mappings, OVN ovn-bridge-mappings ("a:br-a,b:br-b"),
// Linux bridge interface_mappings, SR-IOV device_mappings.
type configurations map[string]json.RawMessage

func (c configurations) networks() (names []string, mapped bool) {
	for _, key := range []string{"bridge_mappings", "interface_mappings", "device_mappings", "ovn-bridge-mappings", "bridge-mappings"} {
		raw, ok := c[key]
		if !ok {
			continue
		}
		mapped = true
		var byName map[string]any
		var list string
		switch {
		case json.Unmarshal(raw, &byName) == nil:
			for name := range byName {
				names = append(names, name)
			}
		case json.Unmarshal(raw, &list) == nil:
			for pair := range strings.SplitSeq(list, ",") {
				if name, _, ok := strings.Cut(strings.TrimSpace(pair), ":"); ok {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), mapped
}

// said is an error in its own words, without the pod's name, which the operator
// has just typed.
func said(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Pod != "" {
		bare := *f
		bare.Pod = ""
		return bare.Error()
	}
	return err.Error()
}
