// Package config reads a file and the environment into one checked struct.
//
// The zero Config, after WithDefaults, runs on a laptop. The file is YAML and is
// read strictly: an unknown key is a mistake. An environment variable, such as
// TRICIRCLE_PODS_TIMEOUT for pods.timeout, wins over the file; maps can only be
// set in the file.
package config

import (
	_ "embed"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/caarlos0/env/v11"
)

//go:embed example.yaml
var example string

// Example is a file with every key, its default and what it does.
func Example() string { return example }

// Config is everything that an operator can set. Example documents the keys.
type Config struct {
	Listen           string   `yaml:"listen" env:"LISTEN"`
	OperationsListen string   `yaml:"operations_listen" env:"OPERATIONS_LISTEN"`
	PublicURL        string   `yaml:"public_url" env:"PUBLIC_URL"`
	Region           string   `yaml:"region" env:"REGION"`
	DataDir          string   `yaml:"data_dir" env:"DATA_DIR"`
	Database         string   `yaml:"database" env:"DATABASE"`
	Log              Log      `yaml:"log" envPrefix:"LOG_"`
	Keystone         Keystone `yaml:"keystone" envPrefix:"KEYSTONE_"`
	Tokens           Tokens   `yaml:"tokens" envPrefix:"TOKENS_"`
	Pods             Pods     `yaml:"pods" envPrefix:"PODS_"`
	Limits           Limits   `yaml:"limits" envPrefix:"LIMITS_"`
	Networks         Networks `yaml:"networks" envPrefix:"NETWORKS_"`
	Jobs             Jobs     `yaml:"jobs" envPrefix:"JOBS_"`
	Compute          Compute  `yaml:"compute" envPrefix:"COMPUTE_"`
	Images           Images   `yaml:"images" envPrefix:"IMAGES_"`
	SecretKey        string   `yaml:"secret_key" env:"SECRET_KEY"`
}

// Which pods get a copy of an image that does not say so itself.
const (
	CopyFirstUse   = "first-use"
	CopyEverywhere = "everywhere"
	CopyHomeOnly   = "home-only"
)

// Which pods may take a server whose image they do not have.
const (
	BootCopy = "copy"
	BootStay = "stay"
)

// Images says what becomes of images.
type Images struct {
	Copy string `yaml:"copy" env:"COPY"`
	Boot string `yaml:"boot" env:"BOOT"`
	// Bandwidth bounds bytes per second to and from a pod; 0: no bound.
	Bandwidth int64 `yaml:"bandwidth" env:"BANDWIDTH"`
	// WebDownload is where the images of a pod can be had without a token.
	WebDownload map[string]string `yaml:"web_download"`
}

// Compute says which versions of the Compute API are offered. What is empty
// follows from the pods.
type Compute struct {
	MinMicroversion string `yaml:"min_microversion" env:"MIN_MICROVERSION"`
	MaxMicroversion string `yaml:"max_microversion" env:"MAX_MICROVERSION"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level" env:"LEVEL"`
	Format string `yaml:"format" env:"FORMAT"`
}

// Keystone says where Tricircle's own service account is. With neither Cloud nor
// AuthURL it is in OS_CLOUD or the OS_* variables.
type Keystone struct {
	Cloud             string `yaml:"cloud" env:"CLOUD"`
	CloudsFile        string `yaml:"clouds_file" env:"CLOUDS_FILE"`
	AuthURL           string `yaml:"auth_url" env:"AUTH_URL"`
	Username          string `yaml:"username" env:"USERNAME"`
	PasswordEnv       string `yaml:"password_env" env:"PASSWORD_ENV"`
	ProjectName       string `yaml:"project_name" env:"PROJECT_NAME"`
	UserDomainName    string `yaml:"user_domain_name" env:"USER_DOMAIN_NAME"`
	ProjectDomainName string `yaml:"project_domain_name" env:"PROJECT_DOMAIN_NAME"`
	CACert            string `yaml:"cacert" env:"CACERT"`
}

// Tokens says how callers' tokens are remembered.
type Tokens struct {
	Cache        int           `yaml:"cache" env:"CACHE"`
	MaxStaleness time.Duration `yaml:"max_staleness" env:"MAX_STALENESS"`
}

// What a list does about a pod that is away.
const (
	UnreachablePartial = "partial"
	UnreachableError   = "error"
)

// Pods says how patient Tricircle is with each pod.
type Pods struct {
	Timeout        time.Duration `yaml:"timeout" env:"TIMEOUT"`
	ConnectTimeout time.Duration `yaml:"connect_timeout" env:"CONNECT_TIMEOUT"`
	ListTimeout    time.Duration `yaml:"list_timeout" env:"LIST_TIMEOUT"`
	ListPatience   time.Duration `yaml:"list_patience" env:"LIST_PATIENCE"`
	Grace          time.Duration `yaml:"grace" env:"GRACE"`
	Census         time.Duration `yaml:"census" env:"CENSUS"`
	Concurrency    int           `yaml:"concurrency" env:"CONCURRENCY"`
	Unreachable    string        `yaml:"unreachable" env:"UNREACHABLE"`
}

// Limits bound what a client may ask of Tricircle.
type Limits struct {
	Body            Size          `yaml:"body" env:"BODY"`
	Header          Size          `yaml:"header" env:"HEADER"`
	ReadTimeout     time.Duration `yaml:"read_timeout" env:"READ_TIMEOUT"`
	IdleTimeout     time.Duration `yaml:"idle_timeout" env:"IDLE_TIMEOUT"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" env:"SHUTDOWN_TIMEOUT"`
}

// Networks says what networks can be made of.
type Networks struct {
	PhysicalNetworks map[string]PhysicalNetwork `yaml:"physical_networks"`
	DefaultType      string                     `yaml:"default_type" env:"DEFAULT_TYPE"`
	MACPrefix        string                     `yaml:"mac_prefix" env:"MAC_PREFIX"`
	MTU              int                        `yaml:"mtu" env:"MTU"`
	PolicyFile       string                     `yaml:"policy_file" env:"POLICY_FILE"`
	ExternalPod      string                     `yaml:"external_pod" env:"EXTERNAL_POD"`
	Quotas           map[string]int64           `yaml:"quotas"`
	PodQuotas        string                     `yaml:"pod_quotas" env:"POD_QUOTAS"`
	VXLAN            VXLAN                      `yaml:"vxlan" envPrefix:"VXLAN_"`
	Bridge           Bridge                     `yaml:"bridge" envPrefix:"BRIDGE_"`
}

// Bridge says what the networks are made of that join a router's pods.
type Bridge struct {
	NetworkType     string       `yaml:"network_type" env:"NETWORK_TYPE"`
	PhysicalNetwork string       `yaml:"physical_network" env:"PHYSICAL_NETWORK"`
	VLAN            []Range      `yaml:"vlan" env:"VLAN"`
	Prefix          netip.Prefix `yaml:"prefix" env:"PREFIX"`
	Prefix6         netip.Prefix `yaml:"prefix6" env:"PREFIX6"`
}

// What becomes of a project's own quota in the pods' Neutrons.
const (
	PodQuotasLift = "lift"
	PodQuotasKeep = "keep"
)

// VXLAN says which network identifiers the region may use in the pods' tunnels.
type VXLAN struct {
	VNI []Range `yaml:"vni" env:"VNI"`
}

// PhysicalNetwork is a wire that pods share, by the label they all use for it.
type PhysicalNetwork struct {
	VLAN []Range `yaml:"vlan"` // VLANs that tenants' networks may get
	Flat bool    `yaml:"flat"` // admins may use it untagged
}

// Jobs says how hard the background works.
type Jobs struct {
	Workers    int           `yaml:"workers" env:"WORKERS"` // per pod
	MaxBackoff time.Duration `yaml:"max_backoff" env:"MAX_BACKOFF"`
}

// Load reads the file, unless path is empty, then the environment (as os.Environ
// gives it), fills in the defaults and validates.
func Load(path string, environ []string) (Config, error) {
	var c Config
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("cannot read the configuration: %w", err)
		}
		if err := c.readYAML(data); err != nil {
			return c, fmt.Errorf("cannot read the configuration %s:\n%w", path, err)
		}
	}
	vars := env.ToMap(environ)
	if err := env.ParseWithOptions(&c, env.Options{Prefix: "TRICIRCLE_", Environment: vars}); err != nil {
		return c, fmt.Errorf("cannot read the configuration in the environment: %w", err)
	}
	c = c.withDefaults(vars)
	return c, c.Validate()
}

// WithDefaults fills in what is not set.
func (c Config) WithDefaults() Config { return c.withDefaults(env.ToMap(os.Environ())) }

func (c Config) withDefaults(vars map[string]string) Config {
	set(&c.Listen, "127.0.0.1:9780")
	set(&c.OperationsListen, "127.0.0.1:9781")
	set(&c.PublicURL, "http://"+c.Listen)
	set(&c.Region, "RegionOne")
	set(&c.DataDir, dataDir(vars, os.Geteuid()))
	set(&c.Database, "sqlite:"+filepath.Join(c.DataDir, "tricircle.db"))
	set(&c.Log.Level, "info")
	set(&c.Log.Format, "text")
	if c.Keystone.AuthURL != "" {
		set(&c.Keystone.PasswordEnv, "OS_PASSWORD")
		set(&c.Keystone.UserDomainName, "Default")
		set(&c.Keystone.ProjectDomainName, "Default")
	}
	set(&c.Tokens.Cache, 50_000)
	set(&c.Tokens.MaxStaleness, 5*time.Minute)
	set(&c.Pods.Timeout, time.Minute)
	set(&c.Pods.ConnectTimeout, 3*time.Second)
	set(&c.Pods.ListTimeout, 10*time.Second)
	set(&c.Pods.ListPatience, 3*time.Second)
	set(&c.Pods.Grace, 2*time.Minute)
	set(&c.Pods.Census, 5*time.Minute)
	set(&c.Pods.Concurrency, 64)
	set(&c.Pods.Unreachable, UnreachablePartial)
	set(&c.Limits.Body, 1<<20)
	set(&c.Limits.Header, 64<<10)
	set(&c.Limits.ReadTimeout, 30*time.Second)
	set(&c.Limits.IdleTimeout, 2*time.Minute)
	set(&c.Limits.ShutdownTimeout, 30*time.Second)
	c.Networks = c.Networks.withDefaults()
	set(&c.Jobs.Workers, 16)
	set(&c.Jobs.MaxBackoff, 30*time.Second)
	set(&c.Images.Copy, CopyFirstUse)
	set(&c.Images.Boot, BootCopy)
	return c
}

func (n Networks) withDefaults() Networks {
	kind := "local"
	for _, p := range n.PhysicalNetworks {
		if len(p.VLAN) > 0 {
			kind = "vlan"
		}
	}
	set(&n.DefaultType, kind)
	set(&n.MACPrefix, "fa:16:3e")
	set(&n.MTU, 1500)
	set(&n.Bridge.NetworkType, "vlan")
	set(&n.Bridge.Prefix, netip.MustParsePrefix("100.64.0.0/10"))
	set(&n.Bridge.Prefix6, netip.MustParsePrefix("fd3a:9c14:72e6::/48"))
	set(&n.PodQuotas, PodQuotasLift)
	return n
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// dataDir is where a service, or else a person, keeps state.
func dataDir(vars map[string]string, uid int) string {
	if uid == 0 {
		return "/var/lib/tricircle"
	}
	state := vars["XDG_STATE_HOME"]
	if state == "" {
		state = filepath.Join(vars["HOME"], ".local", "state")
	}
	return filepath.Join(state, "tricircle")
}

// LogValue shows the configuration without the database's password.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("listen", c.Listen),
		slog.String("operations_listen", c.OperationsListen),
		slog.String("public_url", c.PublicURL),
		slog.String("region", c.Region),
		slog.String("database", c.RedactedDatabase()),
	)
}

// RedactedDatabase is Database as it may be shown.
func (c Config) RedactedDatabase() string {
	u, err := url.Parse(c.Database)
	if err != nil {
		return "(malformed)"
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}
