package admin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

// maxDHCPPorts is more than any sane dhcp_agents_per_network.
const maxDHCPPorts = 16

var podName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

var busReference = regexp.MustCompile(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$`)

// Pod is a pod with its state as this process sees it.
type Pod struct {
	store.Pod
	State  string    `json:"state"`            // up, away
	Since  time.Time `json:"since,omitzero"`   // of the state
	Reason string    `json:"reason,omitempty"` // why it is away
	// Resources counts what Tricircle has there, by kind; only in a single pod.
	Resources map[string]int `json:"resources,omitempty"`
}

// PodSpec is a pod to be added.
type PodSpec struct {
	Name      string `json:"name"`
	Region    string `json:"region"`
	Zone      string `json:"zone"`
	PodZone   string `json:"pod_zone,omitempty"`
	Cloud     string `json:"cloud,omitempty"`
	Interface string `json:"interface,omitempty"`
	DHCPPorts *int   `json:"dhcp_ports,omitempty"` // default 1
	Cordoned  bool   `json:"cordoned,omitempty"`
	Drift     string `json:"drift,omitempty"` // default report
	// MessageBus refers to the URL of the pod's message bus: env:NAME or file:PATH.
	MessageBus string `json:"message_bus,omitempty"`
}

// PodChange is a change to a pod; absent fields stay.
type PodChange struct {
	Region    *string `json:"region,omitempty"`
	Zone      *string `json:"zone,omitempty"`
	PodZone   *string `json:"pod_zone,omitempty"`
	Cloud     *string `json:"cloud,omitempty"`
	Interface *string `json:"interface,omitempty"`
	DHCPPorts *int    `json:"dhcp_ports,omitempty"`
	Cordoned  *bool   `json:"cordoned,omitempty"`
	Drift     *string `json:"drift,omitempty"`
	// MessageBus, when emptied, takes the grant back.
	MessageBus *string `json:"message_bus,omitempty"`
}

// Pods lists the pods by name.
func (a *Admin) Pods(ctx context.Context) ([]Pod, error) {
	rows, err := a.Fleet.Pods(ctx)
	if err != nil {
		return nil, err
	}
	pods := make([]Pod, 0, len(rows))
	for _, row := range rows {
		pods = append(pods, a.withState(ctx, row))
	}
	return pods, nil
}

// Pod describes one pod and counts what is there.
func (a *Admin) Pod(ctx context.Context, name string) (Pod, error) {
	row, err := a.Fleet.Pod(ctx, name)
	if err != nil {
		return Pod{}, err
	}
	p := a.withState(ctx, row)
	p.Resources, err = a.resources(ctx, name)
	return p, err
}

func (a *Admin) resources(ctx context.Context, pod string) (map[string]int, error) {
	mappings, err := a.Store.ListMappings(ctx, store.MappingQuery{Pod: pod})
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	for _, m := range mappings {
		if m.Kind != store.KindCatalog { // a piece of work, not a thing
			count[m.Kind]++
		}
	}
	return count, nil
}

func (a *Admin) withState(ctx context.Context, row store.Pod) Pod {
	p := Pod{Pod: row}
	client, err := a.Fleet.Client(ctx, row.Name)
	if err != nil {
		p.State, p.Reason = "away", err.Error()
		return p
	}
	p.State, p.Since, p.Reason = client.State()
	return p
}

// AddPod adds a pod. It is not asked anything here: a pod may be added while it
// is down; Check tells what is wrong with it.
func (a *Admin) AddPod(ctx context.Context, spec PodSpec) (Pod, error) {
	row := store.Pod{
		Name: spec.Name, Region: spec.Region, Zone: spec.Zone, PodZone: spec.PodZone, Cloud: spec.Cloud,
		Interface: spec.Interface, DHCPPorts: 1, Cordoned: spec.Cordoned, Drift: cmp.Or(spec.Drift, store.DriftReport),
		MessageBus: spec.MessageBus,
	}
	if spec.DHCPPorts != nil {
		row.DHCPPorts = *spec.DHCPPorts
	}
	if err := a.validate(&row); err != nil {
		return Pod{}, err
	}
	if err := a.refuseSameCloud(ctx, row.Name, row.Region, row.Cloud); err != nil {
		return Pod{}, err
	}
	if err := a.create(ctx, row); err != nil {
		return Pod{}, err
	}
	a.Fleet.Changed()
	if err := a.Jobs.AddPod(row.Name); err != nil {
		return Pod{}, err
	}
	return a.Pod(ctx, row.Name)
}

// create makes the row. To the store no DHCP ports means the default, so a pod
// without any, such as one with OVN, is told apart in a second step.
func (a *Admin) create(ctx context.Context, row store.Pod) error {
	if _, err := a.Store.AddPod(ctx, row); err != nil || row.DHCPPorts > 0 {
		return err
	}
	_, err := a.Store.UpdatePod(ctx, row.Name, func(made *store.Pod) error {
		made.DHCPPorts = 0
		return nil
	})
	return err
}

// ChangePod changes a pod. The region cannot change while there are resources:
// their IDs are those of the cloud behind the old one.
func (a *Admin) ChangePod(ctx context.Context, name string, c PodChange) (Pod, error) {
	if c.Region != nil {
		if err := a.refuseMove(ctx, name, *c.Region); err != nil {
			return Pod{}, err
		}
	}
	_, err := a.Store.UpdatePod(ctx, name, func(row *store.Pod) error {
		set(&row.Region, c.Region)
		set(&row.Zone, c.Zone)
		set(&row.PodZone, c.PodZone)
		set(&row.Cloud, c.Cloud)
		set(&row.Interface, c.Interface)
		set(&row.DHCPPorts, c.DHCPPorts)
		set(&row.Cordoned, c.Cordoned)
		set(&row.Drift, c.Drift)
		set(&row.MessageBus, c.MessageBus)
		return a.validate(row)
	})
	if err != nil {
		return Pod{}, err
	}
	a.Fleet.Changed()
	return a.Pod(ctx, name)
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

func (a *Admin) refuseMove(ctx context.Context, name, region string) error {
	row, err := a.Fleet.Pod(ctx, name)
	if err != nil || row.Region == region {
		return err
	}
	if err := a.refuseSameCloud(ctx, name, region, row.Cloud); err != nil {
		return err
	}
	count, err := a.resources(ctx, name)
	if err != nil {
		return err
	}
	maps.DeleteFunc(count, func(kind string, _ int) bool { return store.Shared(kind) })
	if len(count) > 0 {
		return fault.New(fault.Conflict, "", "the region of pod %s cannot change while it holds %s", name, counted(count))
	}
	return nil
}

// RemovePod removes a pod that holds nothing; fault.Conflict with counts while it
// does. There is no way to force it: what is in the pod would be lost to Tricircle.
func (a *Admin) RemovePod(ctx context.Context, name string) error {
	if _, err := a.Fleet.Pod(ctx, name); err != nil {
		return err
	}
	if err := a.Store.DeletePod(ctx, name); err != nil {
		return err
	}
	a.Fleet.Changed()
	return nil
}

// validate checks the row and fills in defaults.
func (a *Admin) validate(row *store.Pod) error {
	if row.Interface == "" {
		row.Interface = "public"
	}
	switch {
	case !podName.MatchString(row.Name):
		return fault.New(fault.Invalid, "", "pod name %q is not valid: use up to 63 letters, digits, dots, dashes and underscores", row.Name)
	case row.Region == "":
		return fault.New(fault.Invalid, "", "pod %s needs a region: the one its endpoints have in Keystone", row.Name)
	case row.Zone == "":
		return fault.New(fault.Invalid, "", "pod %s needs a zone: the availability zone that users will see", row.Name)
	case row.Drift != store.DriftReport && row.Drift != store.DriftRepair:
		return fault.New(fault.Invalid, "", "drift of pod %s is %s or %s, not %q", row.Name, store.DriftReport, store.DriftRepair, row.Drift)
	case len(row.Zone) > 255:
		return fault.New(fault.Invalid, "", "the zone's name is longer than 255 letters")
	case row.Region == a.Options.Region && row.Cloud == "":
		return fault.New(fault.Invalid, "", "region %s is Tricircle's own: a pod needs the region of its own endpoints", row.Region)
	case !slices.Contains(interfaces, row.Interface):
		return fault.New(fault.Invalid, "", "interface %q is not one of public, internal, admin", row.Interface)
	case row.MessageBus != "" && !busReference.MatchString(row.MessageBus):
		return fault.New(fault.Invalid, "", "message_bus refers to the bus as env:NAME or file:PATH") // not shown: it may be the URL itself
	case row.DHCPPorts < 0 || row.DHCPPorts > maxDHCPPorts:
		return fault.New(fault.Invalid, "", "dhcp_ports must be between 0 and %d, not %d", maxDHCPPorts, row.DHCPPorts)
	}
	if row.Cloud == "" || a.Credentials == nil {
		return nil
	}
	if _, err := a.Credentials(row.Cloud); err != nil {
		return fault.New(fault.Invalid, "", "the server %v", err) // "cannot load the credentials …"
	}
	return nil
}

// refuseSameCloud keeps one cloud from being added twice: its objects would be
// listed twice and its networks made twice.
func (a *Admin) refuseSameCloud(ctx context.Context, name, region, cloud string) error {
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return err
	}
	for _, p := range pods {
		if p.Name != name && p.Region == region && p.Cloud == cloud {
			return fault.New(fault.Conflict, "", "region %s is already that of pod %s", region, p.Name)
		}
	}
	return nil
}

// counted is "2 networks, 1 port" in a fixed order.
func counted(count map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		word := strings.ReplaceAll(kind, "_", " ")
		if count[kind] != 1 {
			word += "s"
		}
		parts = append(parts, fmt.Sprintf("%d %s", count[kind], word))
	}
	return strings.Join(parts, ", ")
}
