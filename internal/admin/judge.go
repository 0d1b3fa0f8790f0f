package admin

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// neededExtensions are those of Neutron without which networks cannot be realised
// in a pod, each with what fails without it.
var neededExtensions = []struct{ alias, why string }{
	{"agent", "nobody can tell which physical networks its hosts have"},
	{"allowed-address-pairs", "ports' extra addresses would be lost"},
	{"binding", "servers could not use ports made in advance"},
	{"port-security", "ports without filters would be filtered"},
	{"provider", "networks could not be put on a given VLAN"},
	{"security-group", "there would be no firewall"},
	{"standard-attr-description", "Tricircle marks its objects in the description"},
}

// usefulExtensions are asked for by tenants often enough to say that they are missing.
var usefulExtensions = []string{"external-net", "extra_dhcp_opt", "extraroute", "net-mtu", "project-id", "router"}

// Below these, features that Tricircle offers for the whole region do not work in
// the pod.
var minVersions = map[pod.Service]struct {
	version string
	why     string
}{
	pod.Compute: {"2.69", "it cannot name servers in cells that are down"},
	pod.Volume:  {"3.27", "it has no attachments API, which volume migration between hosts needs"},
}

// judge says in words what the facts mean for the pod. It is pure.
func judge(row store.Pod, f facts, physical []string) []Finding {
	findings := judgeLogin(row, f)
	if f.loginErr != nil {
		return findings
	}
	findings = append(findings, judgeRegion(row, f)...)
	reachable := true
	for _, p := range probes {
		found := judgeService(row, p.service, f.services[p.service])
		findings = append(findings, found...)
		reachable = reachable && found[0].Level == LevelOK
	}
	if f.services[pod.Compute].ok() {
		findings = append(findings, judgeZone(row, f)...)
		findings = append(findings, judgeComputes(f)...)
	}
	if f.services[pod.Network].ok() {
		findings = append(findings, judgeExtensions(f)...)
		findings = append(findings, judgeAgents(row, f, physical)...)
		findings = append(findings, judgeBus(row, f)...)
	}
	return findings
}

func (r reached) ok() bool { return r.endpointErr == nil && r.err == nil }

func judgeLogin(row store.Pod, f facts) []Finding {
	const what = "credentials"
	source := "Tricircle's own account"
	if row.Cloud != "" {
		source = "the credentials " + row.Cloud
	}
	switch {
	case errors.Is(f.loginErr, pod.ErrCredentials):
		return []Finding{{LevelError, what, fmt.Sprintf("%s: %s", source, said(f.loginErr)),
			"correct user, password and project where the server reads them, or name others with --cloud"}}
	case f.loginErr != nil:
		return []Finding{{LevelError, what, fmt.Sprintf("cannot log in with %s: %s", source, said(f.loginErr)),
			"see that the server can reach Keystone and read its credentials"}}
	}
	findings := []Finding{{LevelOK, what, fmt.Sprintf("logged in as %s", f.account), ""}}
	if !slices.Contains(f.roles, "admin") {
		findings = append(findings, Finding{LevelError, "role",
			fmt.Sprintf("%s has no admin role, only %s", f.account, orNothing(f.roles)),
			"openstack role add --user USER --project PROJECT admin"})
	}
	return findings
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func judgeRegion(row store.Pod, f facts) []Finding {
	const what = "region"
	switch {
	case f.regionErr != nil:
		return []Finding{{LevelWarn, what, "cannot list Keystone's regions: " + said(f.regionErr), ""}}
	case !slices.Contains(f.regions, row.Region):
		return []Finding{{LevelError, what,
			fmt.Sprintf("Keystone has no region %s; it has %s", row.Region, orNothing(f.regions)),
			"tricircle pod set " + row.Name + " --region REGION (capitals count)"}}
	}
	return []Finding{{LevelOK, what, "Keystone has region " + row.Region, ""}}
}

func judgeService(row store.Pod, service pod.Service, r reached) []Finding {
	what := string(service) + " endpoint"
	switch {
	case r.endpointErr != nil:
		return []Finding{{LevelError, what, said(r.endpointErr),
			fmt.Sprintf("openstack endpoint create --region %s %s %s URL", row.Region, service, row.Interface)}}
	case fault.Is(r.err, fault.Unauthenticated):
		return []Finding{{LevelError, what, fmt.Sprintf("%s refuses the token: %s", r.url, said(r.err)),
			"the service checks tokens with another Keystone, or its clock is wrong"}}
	case fault.Is(r.err, fault.Forbidden):
		return []Finding{{LevelError, what, fmt.Sprintf("%s refuses the account: %s", r.url, said(r.err)),
			"give the account the admin role"}}
	case r.err != nil:
		return []Finding{{LevelError, what, fmt.Sprintf("no good answer from %s: %s", r.url, said(r.err)),
			"see that the service runs and that the Tricircle server can reach that address"}}
	}
	findings := []Finding{{LevelOK, what, strings.TrimSpace(r.url + " answers" + versionNote(r.max)), ""}}
	if need, ok := minVersions[service]; ok && r.max != "" && older(r.max, need.version) {
		findings = append(findings, Finding{LevelWarn, string(service) + " version",
			fmt.Sprintf("its API goes up to %s only; below %s %s", r.max, need.version, need.why),
			"upgrade the service when you can"})
	}
	return findings
}

func versionNote(max string) string {
	if max == "" {
		return ""
	}
	return ", API up to " + max
}

// older compares microversions as numbers: 2.9 is older than 2.10.
func older(a, b string) bool {
	var x, y [2]int
	for i, v := range []string{a, b} {
		major, minor, _ := strings.Cut(v, ".")
		n := &x
		if i == 1 {
			n = &y
		}
		n[0], _ = strconv.Atoi(major) // what is no number counts as 0: the oldest
		n[1], _ = strconv.Atoi(minor)
	}
	return x[0] < y[0] || x[0] == y[0] && x[1] < y[1]
}

func judgeZone(row store.Pod, f facts) []Finding {
	const what = "pod zone"
	switch {
	case f.zonesErr != nil:
		return []Finding{{LevelWarn, what, "cannot list the pod's availability zones: " + said(f.zonesErr), ""}}
	case row.PodZone == "":
		return []Finding{{LevelOK, what, fmt.Sprintf("servers of zone %s go to the pod's default zone", row.Zone), ""}}
	case !slices.Contains(f.zones, row.PodZone):
		return []Finding{{LevelError, what,
			fmt.Sprintf("the pod has no availability zone %s; it has %s", row.PodZone, orNothing(f.zones)),
			"tricircle pod set " + row.Name + " --pod-zone ZONE"}}
	}
	return []Finding{{LevelOK, what, fmt.Sprintf("zone %s is the pod's zone %s", row.Zone, row.PodZone), ""}}
}

func judgeComputes(f facts) []Finding {
	const what = "compute hosts"
	if fault.Is(f.computesErr, fault.Forbidden) && !slices.Contains(f.roles, "admin") {
		return nil // said already
	}
	if fault.Is(f.computesErr, fault.Forbidden) {
		return []Finding{{LevelError, "role", "Nova does not let the account list its hosts: it is no admin there",
			"openstack role add --user USER --project PROJECT admin"}}
	}
	if f.computesErr != nil {
		return []Finding{{LevelWarn, what, "cannot list the hosts: " + said(f.computesErr), ""}}
	}
	var down []string
	for _, h := range f.computes {
		if h.State != "up" || h.Status != "enabled" {
			down = append(down, h.Host)
		}
	}
	slices.Sort(down)
	up := len(f.computes) - len(down)
	switch {
	case up == 0:
		return []Finding{{LevelWarn, what, fmt.Sprintf("none of %d hosts is up and enabled: no server can start", len(f.computes)),
			"openstack compute service list"}}
	case len(down) > 0:
		return []Finding{{LevelWarn, what, fmt.Sprintf("%d of %d hosts are up; down or disabled: %s", up, len(f.computes), strings.Join(down, ", ")),
			"openstack compute service list"}}
	}
	return []Finding{{LevelOK, what, fmt.Sprintf("%d up", up), ""}}
}

func judgeExtensions(f facts) []Finding {
	const what = "network extensions"
	if f.extsErr != nil {
		return []Finding{{LevelWarn, what, "cannot list Neutron's extensions: " + said(f.extsErr), ""}}
	}
	var findings []Finding
	for _, e := range neededExtensions {
		if !slices.Contains(f.exts, e.alias) {
			findings = append(findings, Finding{LevelError, what,
				fmt.Sprintf("extension %s is missing: %s", e.alias, e.why),
				"enable the plugin or extension driver in the pod's neutron.conf and ml2_conf.ini"})
		}
	}
	var missing []string
	for _, alias := range usefulExtensions {
		if !slices.Contains(f.exts, alias) {
			missing = append(missing, alias)
		}
	}
	if len(missing) > 0 {
		findings = append(findings, Finding{LevelWarn, what,
			"without " + strings.Join(missing, ", ") + " some requests of tenants will fail in this pod", ""})
	}
	if findings == nil {
		return []Finding{{LevelOK, what, fmt.Sprintf("all that is needed is among the %d there", len(f.exts)), ""}}
	}
	return findings
}
