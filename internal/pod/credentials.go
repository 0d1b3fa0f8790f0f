package pod

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Sources say where references to credentials lead. The zero value uses the
// environment and the usual places of clouds.yaml.
type Sources struct {
	// CloudsFile is a clouds.yaml; a secure.yaml beside it is merged in. Default:
	// $OS_CLIENT_CONFIG_FILE, ./clouds.yaml, ~/.config/openstack/clouds.yaml,
	// /etc/openstack/clouds.yaml, whichever is there first.
	CloudsFile string
	Default    AccountOptions      // for the empty reference
	Getenv     func(string) string // default os.Getenv
}

// LoadCredentials resolves a reference to credentials:
//
//	""            the default
//	"env:PREFIX_" PREFIX_OS_AUTH_URL, PREFIX_OS_USERNAME and so on
//	"name"        that cloud of clouds.yaml
//
// Errors name the reference, never what is behind it.
func LoadCredentials(ref string, from Sources) (AccountOptions, error) {
	if from.Getenv == nil {
		from.Getenv = os.Getenv
	}
	o, err := from.load(ref)
	if err != nil {
		return AccountOptions{}, fmt.Errorf("cannot load the credentials %q: %w", ref, err)
	}
	return o, nil
}

func (from Sources) load(ref string) (AccountOptions, error) {
	if ref == "" {
		if from.Default.AuthURL == "" {
			return AccountOptions{}, errors.New("there are no default credentials")
		}
		return from.Default, nil
	}
	var (
		o   AccountOptions
		err error
	)
	if prefix, ok := strings.CutPrefix(ref, "env:"); ok {
		o, err = from.environment(prefix)
	} else {
		o, err = from.cloud(ref)
	}
	if err != nil {
		return o, err
	}
	if err := o.check(); err != nil {
		return o, err
	}
	o.TLS, err = o.TLS.Load()
	return o, err
}

// check finds what is missing, in the words of clouds.yaml.
func (o AccountOptions) check() error {
	missing := func(key string) error { return fmt.Errorf("%s is missing", key) }
	switch {
	case o.AuthURL == "":
		return missing("auth_url")
	case o.ApplicationCredentialID != "" || o.ApplicationCredentialName != "":
		if o.ApplicationCredentialSecret == "" {
			return missing("application_credential_secret")
		}
		if o.ApplicationCredentialID == "" && o.Username == "" && o.UserID == "" {
			return missing("username (an application credential given by name needs it)")
		}
	case o.Username == "" && o.UserID == "":
		return missing("username")
	case o.Password == "":
		return missing("password")
	case o.ProjectID == "" && o.ProjectName == "":
		return missing("project_name")
	}
	return nil
}

// environment reads the variables that the openstack client knows, behind a
// prefix.
func (from Sources) environment(prefix string) (AccountOptions, error) {
	get := func(names ...string) string {
		for _, n := range names {
			if v := from.Getenv(prefix + "OS_" + n); v != "" {
				return v
			}
		}
		return ""
	}
	insecure, _ := strconv.ParseBool(get("INSECURE"))
	o := AccountOptions{
		AuthURL:                     get("AUTH_URL"),
		UserID:                      get("USER_ID"),
		Username:                    get("USERNAME"),
		UserDomainID:                get("USER_DOMAIN_ID"),
		UserDomainName:              get("USER_DOMAIN_NAME"),
		Password:                    Secret(get("PASSWORD")),
		ProjectID:                   get("PROJECT_ID", "TENANT_ID"),
		ProjectName:                 get("PROJECT_NAME", "TENANT_NAME"),
		ProjectDomainID:             get("PROJECT_DOMAIN_ID"),
		ProjectDomainName:           get("PROJECT_DOMAIN_NAME"),
		ApplicationCredentialID:     get("APPLICATION_CREDENTIAL_ID"),
		ApplicationCredentialName:   get("APPLICATION_CREDENTIAL_NAME"),
		ApplicationCredentialSecret: Secret(get("APPLICATION_CREDENTIAL_SECRET")),
		Region:                      get("REGION_NAME"),
		Interface:                   interfaceName(get("INTERFACE", "ENDPOINT_TYPE")),
		TLS:                         TLS{CACert: get("CACERT"), Cert: get("CERT"), Key: get("KEY"), Insecure: insecure},
	}
	if o.AuthURL == "" {
		return o, fmt.Errorf("%sOS_AUTH_URL is not set", prefix)
	}
	return o, nil
}

// cloud is one entry of clouds.yaml, as far as it matters here.
type cloud struct {
	Auth struct {
		AuthURL                     string `yaml:"auth_url"`
		UserID                      string `yaml:"user_id"`
		Username                    string `yaml:"username"`
		UserDomainID                string `yaml:"user_domain_id"`
		UserDomainName              string `yaml:"user_domain_name"`
		Password                    string `yaml:"password"`
		ProjectID                   string `yaml:"project_id"`
		ProjectName                 string `yaml:"project_name"`
		ProjectDomainID             string `yaml:"project_domain_id"`
		ProjectDomainName           string `yaml:"project_domain_name"`
		DomainID                    string `yaml:"domain_id"`
		DomainName                  string `yaml:"domain_name"`
		ApplicationCredentialID     string `yaml:"application_credential_id"`
		ApplicationCredentialName   string `yaml:"application_credential_name"`
		ApplicationCredentialSecret string `yaml:"application_credential_secret"`
	} `yaml:"auth"`
	RegionName   string `yaml:"region_name"`
	Interface    string `yaml:"interface"`
	EndpointType string `yaml:"endpoint_type"`
	Verify       *bool  `yaml:"verify"`
	CACert       string `yaml:"cacert"`
	Cert         string `yaml:"cert"`
	Key          string `yaml:"key"`
}

func (from Sources) cloud(name string) (AccountOptions, error) {
	path, err := from.cloudsFile()
	if err != nil {
		return AccountOptions{}, err
	}
	var c cloud
	// secure.yaml is read second, over the first: only what it has is replaced.
	for _, p := range []string{path, filepath.Join(filepath.Dir(path), "secure.yaml")} {
		if err := readCloud(p, name, &c); err != nil {
			if p != path && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoCloud)) {
				continue
			}
			return AccountOptions{}, err
		}
	}
	return c.options(), nil
}

var errNoCloud = errors.New("no such cloud")

func readCloud(path, name string, into *cloud) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read clouds: %w", err)
	}
	var file struct {
		Clouds map[string]yaml.RawMessage `yaml:"clouds"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("%s is not a clouds file: %s", path, withoutSource(err))
	}
	raw, ok := file.Clouds[name]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(file.Clouds)), ", ")
		return fmt.Errorf("%w: %s has %s", errNoCloud, path, known)
	}
	if err := yaml.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("cloud %s in %s is malformed: %s", name, path, withoutSource(err))
	}
	return nil
}

// withoutSource is the error without the lines of the file that go-yaml quotes:
// they may hold a password.
func withoutSource(err error) string {
	line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	return line
}

func (from Sources) cloudsFile() (string, error) {
	if from.CloudsFile != "" {
		return from.CloudsFile, nil
	}
	if path := from.Getenv("OS_CLIENT_CONFIG_FILE"); path != "" {
		return path, nil
	}
	home := from.Getenv("XDG_CONFIG_HOME")
	if home == "" {
		home = filepath.Join(from.Getenv("HOME"), ".config")
	}
	places := []string{
		"clouds.yaml",
		filepath.Join(home, "openstack", "clouds.yaml"),
		"/etc/openstack/clouds.yaml",
	}
	for _, path := range places {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no clouds file in %s", strings.Join(places, ", "))
}

func (c cloud) options() AccountOptions {
	a := c.Auth
	o := AccountOptions{
		AuthURL:                     a.AuthURL,
		UserID:                      a.UserID,
		Username:                    a.Username,
		UserDomainID:                a.UserDomainID,
		UserDomainName:              a.UserDomainName,
		Password:                    Secret(a.Password),
		ProjectID:                   a.ProjectID,
		ProjectName:                 a.ProjectName,
		ProjectDomainID:             a.ProjectDomainID,
		ProjectDomainName:           a.ProjectDomainName,
		ApplicationCredentialID:     a.ApplicationCredentialID,
		ApplicationCredentialName:   a.ApplicationCredentialName,
		ApplicationCredentialSecret: Secret(a.ApplicationCredentialSecret),
		Region:                      c.RegionName,
		Interface:                   interfaceName(firstOf(c.EndpointType, c.Interface)),
		TLS:                         TLS{CACert: c.CACert, Cert: c.Cert, Key: c.Key},
	}
	o.TLS.Insecure = c.Verify != nil && !*c.Verify
	if o.UserDomainID == "" && o.UserDomainName == "" {
		o.UserDomainID, o.UserDomainName = a.DomainID, a.DomainName
	}
	if o.ProjectDomainID == "" && o.ProjectDomainName == "" {
		o.ProjectDomainID, o.ProjectDomainName = a.DomainID, a.DomainName
	}
	return o
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// interfaceName takes the old names too: publicURL is public.
func interfaceName(s string) string { return strings.TrimSuffix(s, "URL") }
