package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/microversion"
)

// Mistake is one thing that is wrong, at a key.
type Mistake struct {
	Key     string // "pods.timeout"
	Problem string
}

func (m *Mistake) Error() string { return m.Key + ": " + m.Problem }

// mistakes collects them, so that an operator sees all at once.
type mistakes []error

func (m *mistakes) add(ok bool, key, format string, args ...any) {
	if !ok {
		*m = append(*m, &Mistake{Key: key, Problem: fmt.Sprintf(format, args...)})
	}
}

// Validate reports all mistakes, each a *Mistake, joined. It expects the defaults
// to be filled in.
func (c Config) Validate() error {
	var m mistakes
	m.address("listen", c.Listen)
	m.address("operations_listen", c.OperationsListen)
	_, port, _ := net.SplitHostPort(c.Listen)
	m.add(c.Listen != c.OperationsListen || port == "0", "operations_listen", "must differ from listen")
	m.url("public_url", c.PublicURL)
	m.add(c.Region != "" && !strings.ContainsAny(c.Region, " \t\n/"), "region", "%q is not a name of a region", c.Region)
	m.add(c.DataDir != "", "data_dir", "is empty")
	m.database(c.Database)
	m.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	m.oneOf("log.format", c.Log.Format, "text", "json")
	c.Keystone.validate(&m)
	m.number("tokens.cache", c.Tokens.Cache, 1, 10_000_000)
	m.duration("tokens.max_staleness", c.Tokens.MaxStaleness, time.Second, 24*time.Hour)
	c.Pods.validate(&m)
	c.Limits.validate(&m)
	c.Networks.validate(&m)
	m.number("jobs.workers", c.Jobs.Workers, 1, 1000)
	m.duration("jobs.max_backoff", c.Jobs.MaxBackoff, time.Second, 24*time.Hour)
	m.oneOf("images.copy", c.Images.Copy, CopyFirstUse, CopyEverywhere, CopyHomeOnly)
	m.add(c.Images.Bandwidth >= 0, "images.bandwidth", "is less than 0, which means no bound")
	for _, pod := range slices.Sorted(maps.Keys(c.Images.WebDownload)) {
		m.url("images.web_download."+pod, c.Images.WebDownload[pod])
	}
	m.oneOf("images.boot", c.Images.Boot, BootCopy, BootStay)
	m.add(c.SecretKey == "" || strings.HasPrefix(c.SecretKey, "env:") || strings.HasPrefix(c.SecretKey, "file:"), "secret_key",
		"is neither env:NAME nor file:PATH") // not shown: it may be the key by mistake
	c.Compute.validate(&m)
	return errors.Join(m...)
}

func (c Compute) validate(m *mistakes) {
	low, ok := m.microversion("compute.min_microversion", c.MinMicroversion)
	high, ok2 := m.microversion("compute.max_microversion", c.MaxMicroversion)
	if ok && ok2 {
		m.add(!high.Less(low), "compute.max_microversion", "is below compute.min_microversion")
	}
}

// microversion reads a version, if one is given.
func (m *mistakes) microversion(key, text string) (v microversion.Version, given bool) {
	if text == "" {
		return v, false
	}
	v, ok := microversion.Parse(text)
	m.add(ok && v.Major == 2 && v.Minor > 0, key, "%q is not a version of the Compute API, such as 2.79", text)
	return v, ok
}

func (k Keystone) validate(m *mistakes) {
	if k.AuthURL == "" {
		m.unused("keystone.username", k.Username)
		m.unused("keystone.password_env", k.PasswordEnv)
		m.unused("keystone.project_name", k.ProjectName)
		m.unused("keystone.user_domain_name", k.UserDomainName)
		m.unused("keystone.project_domain_name", k.ProjectDomainName)
		return
	}
	m.add(k.Cloud == "", "keystone.cloud", "excludes keystone.auth_url: set one of them")
	m.url("keystone.auth_url", k.AuthURL)
	m.add(k.Username != "", "keystone.username", "is missing, as keystone.auth_url is set")
	m.add(k.ProjectName != "", "keystone.project_name", "is missing, as keystone.auth_url is set")
	m.add(variable.MatchString(k.PasswordEnv), "keystone.password_env",
		"is not the name of an environment variable") // not shown: it may be a password by mistake
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (p Pods) validate(m *mistakes) {
	m.duration("pods.timeout", p.Timeout, time.Second, time.Hour)
	m.duration("pods.connect_timeout", p.ConnectTimeout, 10*time.Millisecond, time.Minute)
	m.duration("pods.list_timeout", p.ListTimeout, 100*time.Millisecond, time.Hour)
	m.duration("pods.census", p.Census, time.Second, 24*time.Hour)
	m.duration("pods.list_patience", p.ListPatience, 10*time.Millisecond, time.Hour)
	m.duration("pods.grace", p.Grace, 100*time.Millisecond, 24*time.Hour)
	m.number("pods.concurrency", p.Concurrency, 1, 10_000)
	m.oneOf("pods.unreachable", p.Unreachable, UnreachablePartial, UnreachableError)
}

func (l Limits) validate(m *mistakes) {
	m.add(l.Body >= 1<<10 && l.Body <= 1<<30, "limits.body", "%s is not between 1KiB and 1GiB", l.Body)
	m.add(l.Header >= 4<<10 && l.Header <= 16<<20, "limits.header", "%s is not between 4KiB and 16MiB", l.Header)
	m.duration("limits.read_timeout", l.ReadTimeout, time.Second, time.Hour)
	m.duration("limits.idle_timeout", l.IdleTimeout, time.Second, time.Hour)
	m.duration("limits.shutdown_timeout", l.ShutdownTimeout, time.Second, time.Hour)
}

var (
	macPrefix = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){2,3}$`)
)

func (n Networks) validate(m *mistakes) {
	vlans := false
	for _, name := range slices.Sorted(maps.Keys(n.PhysicalNetworks)) {
		p := n.PhysicalNetworks[name]
		p.validate(m, "networks.physical_networks."+name)
		m.add(name != "" && len(name) <= 64, "networks.physical_networks", "%q is not a label of 1 to 64 bytes", name)
		vlans = vlans || len(p.VLAN) > 0
	}
	m.ranges("networks.vxlan.vni", n.VXLAN.VNI, 1<<24-1)
	m.oneOf("networks.default_type", n.DefaultType, "local", "vlan", "vxlan")
	m.add(len(n.VXLAN.VNI) > 0 || n.DefaultType != "vxlan", "networks.default_type", "vxlan needs networks.vxlan.vni")
	m.add(vlans || n.DefaultType != "vlan", "networks.default_type", "vlan needs a physical network with VLANs")
	n.Bridge.validate(m, n)
	m.mac(n.MACPrefix)
	m.number("networks.mtu", n.MTU, 576, 65_535)
	m.oneOf("networks.pod_quotas", n.PodQuotas, PodQuotasLift, PodQuotasKeep)
}

func (b Bridge) validate(m *mistakes, n Networks) {
	m.oneOf("networks.bridge.network_type", b.NetworkType, "vlan", "vxlan")
	m.add(b.NetworkType != "vxlan" || len(n.VXLAN.VNI) > 0, "networks.bridge.network_type", "vxlan needs networks.vxlan.vni")
	_, known := n.PhysicalNetworks[b.PhysicalNetwork]
	m.add(known || b.PhysicalNetwork == "", "networks.bridge.physical_network", "%q is none of networks.physical_networks", b.PhysicalNetwork)
	m.add(len(b.VLAN) == 0 || b.PhysicalNetwork != "", "networks.bridge.vlan", "needs networks.bridge.physical_network")
	m.ranges("networks.bridge.vlan", b.VLAN, 4094)
	m.add(b.Prefix.Addr().Is4() && b.Prefix.Bits() <= 28, "networks.bridge.prefix", "%s is no IPv4 prefix of 28 bits or less", b.Prefix)
	m.add(b.Prefix6.Addr().Is6() && b.Prefix6.Bits() <= 64, "networks.bridge.prefix6", "%s is no IPv6 prefix of 64 bits or less", b.Prefix6)
}

func (p PhysicalNetwork) validate(m *mistakes, key string) {
	m.add(p.Flat || len(p.VLAN) > 0, key, "is of no use without vlan or flat")
	m.ranges(key+".vlan", p.VLAN, 4094)
}

// ranges are within 1 and highest and do not overlap.
func (m *mistakes) ranges(key string, all []Range, highest int) {
	for i, r := range all {
		at := fmt.Sprintf("%s[%d]", key, i)
		m.add(1 <= r.First && r.First <= r.Last && r.Last <= highest, at, "%s is not within 1:%d", r, highest)
		for _, other := range all[:i] {
			m.add(!r.overlaps(other), at, "%s overlaps %s", r, other)
		}
	}
}

func (m *mistakes) address(key, value string) {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	m.add(err == nil, key, "%q is not an address such as 127.0.0.1:9780", value)
}

func (m *mistakes) url(key, value string) {
	u, err := url.Parse(value)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.RawQuery == "" && u.Fragment == "" && u.User == nil
	m.add(ok, key, "is not an address such as https://cloud.example.org")
}

func (m *mistakes) database(value string) {
	scheme, rest, _ := strings.Cut(value, ":")
	_, err := url.Parse(value)
	ok := scheme == "sqlite" && rest != "" ||
		(scheme == "postgres" || scheme == "postgresql") && strings.HasPrefix(rest, "//") && err == nil
	m.add(ok, "database", "is neither sqlite:PATH nor postgres://USER@HOST/NAME")
}

// unused refuses what would look set and do nothing. It does not show the value:
// it may be a secret in the wrong place.
func (m *mistakes) unused(key, value string) {
	m.add(value == "", key, "has no effect without keystone.auth_url")
}

// mac checks the prefix of the MAC addresses we give: the first byte of a unicast
// address is even.
func (m *mistakes) mac(prefix string) {
	ok := macPrefix.MatchString(prefix)
	if ok {
		first, err := strconv.ParseUint(prefix[:2], 16, 8)
		ok = err == nil && first&1 == 0
	}
	m.add(ok, "networks.mac_prefix", "%q is not a unicast prefix such as fa:16:3e", prefix)
}

func (m *mistakes) oneOf(key, value string, allowed ...string) {
	m.add(slices.Contains(allowed, value), key, "%q is none of %s", value, strings.Join(allowed, ", "))
}

func (m *mistakes) number(key string, value, low, high int) {
	m.add(low <= value && value <= high, key, "%d is not between %d and %d", value, low, high)
}

func (m *mistakes) duration(key string, value, low, high time.Duration) {
	hint := ""
	if value > 0 && value < time.Millisecond {
		hint = " (a duration needs a unit: 30s)"
	}
	m.add(low <= value && value <= high, key, "%v is not between %v and %v%s", value, low, high, hint)
}
