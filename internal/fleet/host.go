package fleet

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// Host names are chosen in each pod, so two pods may have the same. A name is
// shown plain for the pod in which it was seen first, and as "name@pod" for any
// other. Which that is stands in the store: a name never changes its form, whether
// pods come, go or are away. "name@pod" is understood for every host.

// hostNames is what this replica knows of them. Names are only ever added, but for
// those of a pod that is removed.
type hostNames struct {
	mu     sync.Mutex
	owners map[string]string // name to the pod that shows it plain
}

func (h *hostNames) owner(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.owners[name]
}

func (h *hostNames) learn(owners map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owners = owners
}

// HostName is how the region calls a host, or a node, of the pod.
func (f *Fleet) HostName(ctx context.Context, podName, host string) string {
	if host == "" {
		return ""
	}
	owner, err := f.hostOwner(ctx, host)
	if err == nil && owner == "" {
		owner, err = f.claimHosts(ctx, podName, host)
	}
	switch {
	case err != nil:
		// Right whoever owns the plain name.
		f.log.WarnContext(ctx, "cannot read the names of hosts", "pod", podName, "host", host, "error", err)
		return host + "@" + podName
	case owner == podName:
		return host
	}
	return host + "@" + podName
}

// FindHost finds the pod of a host that a caller names, and the name there.
// fault.NotFound when no pod has it; fault.Unavailable when one that is away may.
func (f *Fleet) FindHost(ctx context.Context, name string) (podName, host string, err error) {
	if host, podName = f.SplitHost(ctx, name); podName != "" {
		return podName, host, nil
	}
	owner, err := f.hostOwner(ctx, name)
	if err != nil || owner != "" {
		return owner, name, err
	}
	err = f.discoverHosts(ctx, f.hostsOf)
	if owner = f.hosts.owner(name); owner != "" {
		return owner, name, nil
	}
	if err != nil {
		return "", "", err
	}
	return "", "", fault.New(fault.NotFound, "", "Compute host %s could not be found.", name)
}

// hostOwner is the pod that shows the name plain; empty when none does yet.
func (f *Fleet) hostOwner(ctx context.Context, name string) (string, error) {
	if owner := f.hosts.owner(name); owner != "" && f.ZoneOf(owner) != "" {
		return owner, nil
	}
	owners, err := f.store.HostNames(ctx)
	if err != nil {
		return "", err
	}
	f.hosts.learn(owners)
	return owners[name], nil
}

// claimHosts gives the pod those of the names that are free, and returns whose the
// last one is.
func (f *Fleet) claimHosts(ctx context.Context, podName string, names ...string) (owner string, err error) {
	owners, err := f.store.ClaimHosts(ctx, podName, names...)
	if err != nil || len(names) == 0 {
		return "", err
	}
	f.hosts.learn(owners)
	return owners[names[len(names)-1]], nil
}

// discoverHosts learns the names of all pods' hosts. The error names the pods that
// could not be asked.
func (f *Fleet) discoverHosts(ctx context.Context, hostsOf func(ctx context.Context, podName string) ([]string, error)) error {
	pods, err := f.Pods(ctx)
	if err != nil {
		return err
	}
	found, errs := make([][]string, len(pods)), make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() { found[i], errs[i] = hostsOf(ctx, p.Name) })
	}
	wg.Wait()
	for i, p := range pods { // in order: of two pods that are new the first has the name
		if len(found[i]) == 0 {
			continue
		}
		if _, err := f.claimHosts(ctx, p.Name, found[i]...); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// hostsOf asks a pod, as the service account, for the names of its hosts and nodes.
func (f *Fleet) hostsOf(ctx context.Context, podName string) ([]string, error) {
	client, err := f.Client(ctx, podName)
	if err != nil {
		return nil, err
	}
	var services struct {
		Services []struct{ Host string } `json:"services"`
	}
	var nodes struct {
		Hypervisors []struct {
			Name string `json:"hypervisor_hostname"`
		} `json:"hypervisors"`
	}
	for path, into := range map[string]any{"/os-services": &services, "/os-hypervisors": &nodes} {
		err := client.JSON(ctx, pod.Request{
			Service: pod.Compute, Method: http.MethodGet, Path: path, Timeout: askTimeout, Op: "look for hosts",
		}, nil, into)
		if err != nil {
			return nil, err
		}
	}
	names := map[string]bool{}
	for _, s := range services.Services {
		names[s.Host] = true
	}
	for _, n := range nodes.Hypervisors {
		names[n.Name] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// SplitHost takes the pod's name off a host's. podName is empty for a plain name.
func (f *Fleet) SplitHost(ctx context.Context, name string) (host, podName string) {
	pods, err := f.Pods(ctx)
	if err != nil {
		return name, ""
	}
	if i := strings.LastIndexByte(name, '@'); i > 0 {
		if p, ok := find(pods, name[i+1:]); ok {
			return name[:i], p.Name
		}
	}
	return name, ""
}
