package fleet

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// Block Storage's hosts are called "node@backend#pool". All that is on a node of one
// name has the same form: plain in the pod that shows the node plain, with "@pod" at
// its end in all others. A backend that is called like a pod would be taken for it.

// StorageHostName is how the region calls a host, a backend or a pool of the pod.
func (f *Fleet) StorageHostName(ctx context.Context, podName, host string) string {
	if host == "" || f.HostName(ctx, podName, node(host)) == node(host) {
		return host
	}
	return host + "@" + podName
}

// FindStorageHost finds the pod of a host, a backend or a pool that a caller names,
// and the name there. fault.NotFound when no pod has it; fault.Unavailable when one
// that is away may.
func (f *Fleet) FindStorageHost(ctx context.Context, name string) (podName, host string, err error) {
	if host, podName = f.SplitHost(ctx, name); podName != "" {
		return podName, host, nil
	}
	owner, err := f.hostOwner(ctx, node(name))
	if err != nil || owner != "" {
		return owner, name, err
	}
	err = f.discoverHosts(ctx, f.storageNodesOf)
	if owner = f.hosts.owner(node(name)); owner != "" {
		return owner, name, nil
	}
	if err != nil {
		return "", "", err
	}
	return "", "", fault.New(fault.NotFound, "", "Host %s could not be found.", name)
}

// node is the first part of a host's name.
func node(host string) string {
	if i := strings.IndexAny(host, "@#"); i >= 0 {
		return host[:i]
	}
	return host
}

// storageNodesOf asks a pod, as the service account, for the nodes of its volumes.
func (f *Fleet) storageNodesOf(ctx context.Context, podName string) ([]string, error) {
	client, err := f.Client(ctx, podName)
	if err != nil {
		return nil, err
	}
	var services struct {
		Services []struct{ Host string } `json:"services"`
	}
	err = client.JSON(ctx, pod.Request{
		Service: pod.Volume, Method: http.MethodGet, Path: "/os-services", Timeout: askTimeout, Op: "look for hosts",
	}, nil, &services)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, s := range services.Services {
		names[node(s.Host)] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}
