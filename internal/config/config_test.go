package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// prefixes are compared as values.
var prefixes = cmpopts.EquateComparable(netip.Prefix{})

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tricircle.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var laptop = []string{"HOME=/home/ada"}

func TestZeroValueRunsOnALaptop(t *testing.T) {
	t.Parallel()
	c, err := Load("", laptop)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Listen:           "127.0.0.1:9780",
		OperationsListen: "127.0.0.1:9781",
		PublicURL:        "http://127.0.0.1:9780",
		Region:           "RegionOne",
		DataDir:          dataDir(map[string]string{"HOME": "/home/ada"}, os.Geteuid()),
		Log:              Log{Level: "info", Format: "text"},
		Tokens:           Tokens{Cache: 50_000, MaxStaleness: 5 * time.Minute},
		Pods: Pods{
			Timeout:        time.Minute,
			ConnectTimeout: 3 * time.Second,
			ListTimeout:    10 * time.Second,
			ListPatience:   3 * time.Second,
			Grace:          2 * time.Minute,
			Census:         5 * time.Minute,
			Concurrency:    64,
			Unreachable:    UnreachablePartial,
		},
		Limits: Limits{
			Body:            1 << 20,
			Header:          64 << 10,
			ReadTimeout:     30 * time.Second,
			IdleTimeout:     2 * time.Minute,
			ShutdownTimeout: 30 * time.Second,
		},
		Networks: Networks{DefaultType: "local", MACPrefix: "fa:16:3e", MTU: 1500, PodQuotas: "lift", Bridge: Bridge{NetworkType: "vlan",
			Prefix: netip.MustParsePrefix("100.64.0.0/10"), Prefix6: netip.MustParsePrefix("fd3a:9c14:72e6::/48")}},
		Jobs:   Jobs{Workers: 16, MaxBackoff: 30 * time.Second},
		Images: Images{Copy: "first-use", Boot: "copy"},
	}
	want.Database = "sqlite:" + want.DataDir + "/tricircle.db"
	if diff := cmp.Diff(want, c, prefixes); diff != "" {
		t.Errorf("Load with nothing (-want +got):\n%s", diff)
	}
}

// The example says it holds the defaults, so it must.
func TestExampleIsTheDefaults(t *testing.T) {
	t.Parallel()
	got, err := Load(write(t, Example()), laptop)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Load("", laptop)
	if err != nil {
		t.Fatal(err)
	}
	got.Networks.PhysicalNetworks, got.Networks.Quotas, got.Networks.VXLAN.VNI = nil, nil, nil // {} in the file
	got.Images.WebDownload = nil
	got.Networks.Bridge.VLAN = nil // [] in the file
	if diff := cmp.Diff(want, got, prefixes); diff != "" {
		t.Errorf("Load(Example()) (-want +got):\n%s", diff)
	}
}

func TestExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	var walk func(reflect.Type)
	walk = func(r reflect.Type) {
		for f := range fields(r) {
			key := f.Tag.Get("yaml")
			if !strings.Contains(Example(), key+":") {
				t.Errorf("the example lacks %s", key)
			}
			switch f.Type.Kind() {
			case reflect.Struct:
				walk(f.Type)
			case reflect.Map:
				if f.Type.Elem().Kind() == reflect.Struct {
					walk(f.Type.Elem())
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func fields(r reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range r.NumField() {
			if !yield(r.Field(i)) {
				return
			}
		}
	}
}

func TestLoadReadsFileAndEnvironment(t *testing.T) {
	t.Parallel()
	path := write(t, `
listen: 0.0.0.0:80
public_url: https://cloud.example.org
database: postgres://tricircle@db/tricircle
log: {level: debug}
keystone: {cloud: admin, clouds_file: /etc/openstack/clouds.yaml}
pods: {timeout: 30s, unreachable: error}
limits: {body: 2MiB}
networks:
  physical_networks:
    bridge: {vlan: ["101:400", "500"]}
    extern: {flat: true}
`)
	c, err := Load(path, append(laptop, "TRICIRCLE_PODS_TIMEOUT=45s", "TRICIRCLE_LIMITS_HEADER=8KiB", "TRICIRCLE_LOG_FORMAT=json",
		"TRICIRCLE_TOKENS_CACHE=7", "TRICIRCLE_KEYSTONE_CLOUD=other", "TRICIRCLE_TESTBED_DIR=/ignored"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Load("", laptop)
	if err != nil {
		t.Fatal(err)
	}
	want.Listen, want.PublicURL = "0.0.0.0:80", "https://cloud.example.org"
	want.Database = "postgres://tricircle@db/tricircle"
	want.Log = Log{Level: "debug", Format: "json"}
	want.Keystone = Keystone{Cloud: "other", CloudsFile: "/etc/openstack/clouds.yaml"}
	want.Pods.Timeout, want.Pods.Unreachable = 45*time.Second, UnreachableError
	want.Limits.Body, want.Limits.Header = 2<<20, 8<<10
	want.Tokens.Cache = 7
	want.Networks.DefaultType = "vlan"
	want.Networks.PhysicalNetworks = map[string]PhysicalNetwork{
		"bridge": {VLAN: []Range{{101, 400}, {500, 500}}},
		"extern": {Flat: true},
	}
	if diff := cmp.Diff(want, c, prefixes); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

func TestLoadExplainsMistakesInTheFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, want string }{
		{"unknown key", "listen: a:1\npods:\n  timeuot: 3s\n", `unknown field "timeuot"`},
		{"twice the same key", "listen: a:1\nlisten: b:1\n", "already defined"},
		{"not YAML", "pods: {timeout: 3s\n", "tricircle.yaml"},
		{"a duration without a sense", "pods: {timeout: soon}\n", "[1:17] invalid duration \"soon\""},
		{"a size without a sense", "limits: {body: 2 MB}\n", `[1:16] "2 MB" is not a size`},
		{"a range without a sense", "networks: {physical_networks: {b: {vlan: [\"a:b\"]}}}\n", `[1:43] "a:b" is not a range`},
		{"a list for a map", "pods: [1]\n", "pods"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(write(t, tt.file), laptop)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load = %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestLoadExplainsMistakesInTheEnvironment(t *testing.T) {
	t.Parallel()
	_, err := Load("", append(laptop, "TRICIRCLE_PODS_TIMEOUT=soon"))
	if err == nil || !strings.Contains(err.Error(), "soon") {
		t.Errorf("Load = %v, want the value named", err)
	}
	_, err = Load(filepath.Join(t.TempDir(), "absent.yaml"), laptop)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of an absent file = %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	wires := func(p PhysicalNetwork) func(*Config) {
		return func(c *Config) { c.Networks.PhysicalNetworks = map[string]PhysicalNetwork{"b": p} }
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"nothing", func(*Config) {}, nil},
		{"listen", func(c *Config) { c.Listen = "9780" }, []string{"listen"}},
		{"port", func(c *Config) { c.Listen = "localhost:99999" }, []string{"listen"}},
		{"one port for both", func(c *Config) { c.OperationsListen = c.Listen }, []string{"operations_listen"}},
		{"any ports for both", func(c *Config) { c.OperationsListen, c.Listen = "a:0", "a:0" }, nil},
		{"public url", func(c *Config) { c.PublicURL = "cloud.example.org" }, []string{"public_url"}},
		{"secret in the url", func(c *Config) { c.PublicURL = "https://u:p@cloud" }, []string{"public_url"}},
		{"region", func(c *Config) { c.Region = "Region One" }, []string{"region"}},
		{"database", func(c *Config) { c.Database = "mysql://x" }, []string{"database"}},
		{"postgresql", func(c *Config) { c.Database = "postgresql://u:p@h/d?sslmode=disable" }, nil},
		{"level", func(c *Config) { c.Log.Level = "loud" }, []string{"log.level"}},
		{"keystone by address", func(c *Config) {
			c.Keystone = Keystone{AuthURL: "https://k/v3", Username: "t", PasswordEnv: "PW", ProjectName: "service"}
		}, nil},
		{"keystone in part", func(c *Config) { c.Keystone = Keystone{AuthURL: "https://k/v3", PasswordEnv: "s3cret!"} },
			[]string{"keystone.username", "keystone.project_name", "keystone.password_env"}},
		{"keystone twice", func(c *Config) {
			c.Keystone = Keystone{Cloud: "a", AuthURL: "https://k", Username: "t", PasswordEnv: "PW", ProjectName: "service"}
		}, []string{"keystone.cloud"}},
		{"keystone without address", func(c *Config) { c.Keystone = Keystone{Username: "t", PasswordEnv: "PW"} },
			[]string{"keystone.username", "keystone.password_env"}},
		{"durations without unit", func(c *Config) { c.Pods.Timeout, c.Tokens.MaxStaleness = 30, 5 },
			[]string{"tokens.max_staleness", "pods.timeout"}},
		{"negative", func(c *Config) { c.Pods.Concurrency, c.Jobs.Workers = -1, -1 }, []string{"pods.concurrency", "jobs.workers"}},
		{"copies", func(c *Config) { c.Images.Copy = "sometimes" }, []string{"images.copy"}},
		{"copies at no pace", func(c *Config) { c.Images.Bandwidth = -1 }, []string{"images.bandwidth"}},
		{"copies from nowhere", func(c *Config) { c.Images.WebDownload = map[string]string{"pod1": "mirror"} }, []string{"images.web_download.pod1"}},
		{"sizes", func(c *Config) { c.Limits.Body, c.Limits.Header = 1, 1 }, []string{"limits.body", "limits.header"}},
		{"wire without use", wires(PhysicalNetwork{}), []string{"networks.physical_networks.b"}},
		{"MTU", func(c *Config) { c.Networks.MTU = 15 }, []string{"networks.mtu"}},
		{"VLANs", wires(PhysicalNetwork{VLAN: []Range{{1, 10}, {10, 20}, {4000, 5000}, {99, 98}}}),
			[]string{"networks.physical_networks.b.vlan[1]", "networks.physical_networks.b.vlan[2]", "networks.physical_networks.b.vlan[3]"}},
		{"vlan without wire", func(c *Config) { c.Networks.DefaultType = "vlan" }, []string{"networks.default_type"}},
		{"type", func(c *Config) { c.Networks.DefaultType = "vxlan" }, []string{"networks.default_type"}},
		{"VNIs", func(c *Config) { c.Networks.VXLAN.VNI = []Range{{1, 10}, {10, 20}, {5, 1 << 24}} },
			[]string{"networks.vxlan.vni[1]", "networks.vxlan.vni[2]", "networks.vxlan.vni[2]", "networks.vxlan.vni[2]"}},
		{"MAC", func(c *Config) { c.Networks.MACPrefix = "zz" }, []string{"networks.mac_prefix"}},
		{"multicast MAC", func(c *Config) { c.Networks.MACPrefix = "fb:16:3e" }, []string{"networks.mac_prefix"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := Config{}.withDefaults(map[string]string{"HOME": "/home/ada"})
			tt.change(&c)
			err := c.Validate()
			var keys []string
			for _, m := range flatten(err) {
				keys = append(keys, m.Key)
			}
			if diff := cmp.Diff(tt.want, keys); diff != "" {
				t.Errorf("Validate = %v\n(-want +got):\n%s", err, diff)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret!") {
				t.Errorf("Validate shows a password: %v", err)
			}
		})
	}
}

func flatten(err error) []*Mistake {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var all []*Mistake
	for _, e := range joined.Unwrap() {
		if m, ok := errors.AsType[*Mistake](e); ok {
			all = append(all, m)
		}
	}
	return all
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		vars map[string]string
		uid  int
		want string
	}{
		{map[string]string{"HOME": "/root"}, 0, "/var/lib/tricircle"},
		{map[string]string{"HOME": "/home/ada"}, 7, "/home/ada/.local/state/tricircle"},
		{map[string]string{"HOME": "/home/ada", "XDG_STATE_HOME": "/s"}, 7, "/s/tricircle"},
	} {
		if got := dataDir(tt.vars, tt.uid); got != tt.want {
			t.Errorf("dataDir(%v, %d) = %s, want %s", tt.vars, tt.uid, got, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{"512": 512, "64KiB": 64 << 10, "2 MiB": 2 << 20, "1GiB": 1 << 30, "0": 0} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("UnmarshalText(%q) = %d, %v, want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "2MB", "1.5MiB", "99999999999GiB"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q) = nil, want an error", text)
		}
	}
	for size, want := range map[Size]string{0: "0", 1000: "1000", 2048: "2KiB", 3 << 20: "3MiB"} {
		if got := size.String(); got != want {
			t.Errorf("String(%d) = %s, want %s", size, got, want)
		}
	}
}

func TestRedactedDatabase(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"sqlite:/var/lib/tricircle/tricircle.db": "sqlite:/var/lib/tricircle/tricircle.db",
		"postgres://u:pw@h/d":                    "postgres://u:xxxxx@h/d",
		"postgres://h/d?password=pw&user=u":      "postgres://h/d?password=xxxxx&user=u",
		"postgres://u:p%w@h/d":                   "(malformed)",
	} {
		c := Config{Database: in}
		if got := c.RedactedDatabase(); got != want {
			t.Errorf("RedactedDatabase(%s) = %s, want %s", in, got, want)
		}
		if shown := c.LogValue().String(); strings.Contains(shown, "pw") {
			t.Errorf("LogValue = %s, shows the password", shown)
		}
	}
}
