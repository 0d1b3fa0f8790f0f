package pod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tricircle/tricircle/internal/config"
)

const cloudsYAML = `
clouds:
  admin:
    region_name: Pod1
    endpoint_type: internalURL
    verify: false
    unknown: ignored
    identity_api_version: 3
    auth: {auth_url: "http://k:5000/v3", username: admin, password: from-clouds, project_name: admin, user_domain_id: default, project_domain_id: default}
  split:
    auth: {auth_url: "http://k", username: u, project_name: p, domain_name: D}
  app:
    auth_type: v3applicationcredential
    interface: public
    auth: {auth_url: "http://k", application_credential_id: i, application_credential_secret: s}
  half:
    auth: {auth_url: "http://k", username: u}
  odd:
    auth: [s3cret]
  cacert:
    cacert: /absent.pem
    auth: {auth_url: "http://k", username: u, password: p, project_name: p}
`

const secureYAML = `
clouds:
  split:
    auth: {password: from-secure}
`

func cloudsIn(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"clouds.yaml": cloudsYAML, "secure.yaml": secureYAML} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "clouds.yaml")
}

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

var plain = cmp.Options{cmpopts.IgnoreUnexported(TLS{})}

func TestLoadCredentials(t *testing.T) {
	t.Parallel()
	path := cloudsIn(t)
	own := AccountOptions{AuthURL: "http://own"}
	vars := env(map[string]string{
		"POD1_OS_AUTH_URL": "http://e", "POD1_OS_USERNAME": "u", "POD1_OS_PASSWORD": "p", "POD1_OS_TENANT_NAME": "t",
		"POD1_OS_ENDPOINT_TYPE": "adminURL", "POD1_OS_INSECURE": "true", "POD1_OS_REGION_NAME": "R",
		"OS_CLIENT_CONFIG_FILE": path,
	})
	for _, tt := range []struct {
		ref  string
		want AccountOptions
	}{
		{"", own},
		{"admin", AccountOptions{
			AuthURL: "http://k:5000/v3", Username: "admin", Password: "from-clouds", ProjectName: "admin",
			UserDomainID: "default", ProjectDomainID: "default", Region: "Pod1", Interface: "internal", TLS: TLS{Insecure: true},
		}},
		{"split", AccountOptions{
			AuthURL: "http://k", Username: "u", Password: "from-secure", ProjectName: "p", UserDomainName: "D", ProjectDomainName: "D",
		}},
		{"app", AccountOptions{
			AuthURL: "http://k", ApplicationCredentialID: "i", ApplicationCredentialSecret: "s", Interface: "public",
		}},
		{"env:POD1_", AccountOptions{
			AuthURL: "http://e", Username: "u", Password: "p", ProjectName: "t", Region: "R", Interface: "admin", TLS: TLS{Insecure: true},
		}},
	} {
		got, err := LoadCredentials(tt.ref, Sources{Default: own, Getenv: vars})
		if err != nil {
			t.Errorf("LoadCredentials(%q) = %v", tt.ref, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got, plain); diff != "" {
			t.Errorf("LoadCredentials(%q) (-want +got):\n%s", tt.ref, diff)
		}
	}
}

func TestLoadCredentialsExplains(t *testing.T) {
	t.Parallel()
	from := Sources{CloudsFile: cloudsIn(t), Getenv: env(map[string]string{"X_OS_AUTH_URL": "http://e"})}
	for ref, want := range map[string]string{
		"":        "there are no default credentials",
		"nowhere": "has admin, app, cacert, half, odd, split",
		"half":    "password is missing",
		"odd":     "is malformed",
		"cacert":  "cannot read the CA certificates",
		"env:X_":  "username is missing",
		"env:Y_":  "Y_OS_AUTH_URL is not set",
	} {
		_, err := LoadCredentials(ref, from)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("LoadCredentials(%q) = %v, want %q in it", ref, err, want)
		}
	}
	from.CloudsFile = filepath.Join(t.TempDir(), "absent.yaml")
	if _, err := LoadCredentials("a", from); err == nil {
		t.Error("LoadCredentials without the file = nil")
	}
}

func TestOwnCredentials(t *testing.T) {
	t.Parallel()
	path := cloudsIn(t)
	explicit := config.Keystone{
		AuthURL: "http://k", Username: "t", PasswordEnv: "PW", ProjectName: "service",
		UserDomainName: "Default", ProjectDomainName: "Default",
	}
	for _, tt := range []struct {
		name string
		k    config.Keystone
		vars map[string]string
		user string
		err  string
	}{
		{"by address", explicit, map[string]string{"PW": "p"}, "t at http://k", ""},
		{"by address, no password", explicit, nil, "", "keystone.password_env"},
		{"by cloud", config.Keystone{Cloud: "admin", CloudsFile: path}, nil, "admin at http://k:5000/v3", ""},
		{"by OS_CLOUD", config.Keystone{CloudsFile: path}, map[string]string{"OS_CLOUD": "split"}, "u at http://k", ""},
		{"by OS_*", config.Keystone{}, map[string]string{"OS_AUTH_URL": "http://e", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "p"}, "u at http://e", ""},
		{"nothing", config.Keystone{}, nil, "", "set keystone.cloud, keystone.auth_url, OS_CLOUD or OS_AUTH_URL"},
	} {
		got, err := OwnCredentials(tt.k, env(tt.vars))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want %q in it", tt.name, err, tt.err)
			}
			continue
		}
		if err != nil || got.String() != tt.user {
			t.Errorf("%s: %v, %v, want %s", tt.name, got, err, tt.user)
		}
	}
}
