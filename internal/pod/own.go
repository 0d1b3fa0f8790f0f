package pod

import (
	"errors"
	"fmt"
	"os"

	"github.com/tricircle/tricircle/internal/config"
)

// OwnCredentials are Tricircle's own, as the configuration says: a cloud of a
// clouds.yaml, an address with the password in a variable, or what the openstack
// client would use.
func OwnCredentials(k config.Keystone, getenv func(string) string) (AccountOptions, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	if k.AuthURL != "" {
		return explicit(k, getenv)
	}
	ref := k.Cloud
	if ref == "" {
		ref = getenv("OS_CLOUD")
	}
	if ref == "" {
		ref = "env:"
	}
	o, err := LoadCredentials(ref, Sources{CloudsFile: k.CloudsFile, Getenv: getenv})
	if err != nil && k.Cloud == "" {
		return o, fmt.Errorf("no account for Tricircle: set keystone.cloud, keystone.auth_url, OS_CLOUD or OS_AUTH_URL: %w", err)
	}
	return o, err
}

func explicit(k config.Keystone, getenv func(string) string) (AccountOptions, error) {
	o := AccountOptions{
		AuthURL:           k.AuthURL,
		Username:          k.Username,
		UserDomainName:    k.UserDomainName,
		Password:          Secret(getenv(k.PasswordEnv)),
		ProjectName:       k.ProjectName,
		ProjectDomainName: k.ProjectDomainName,
		TLS:               TLS{CACert: k.CACert},
	}
	if o.Password == "" {
		return o, errors.New("keystone.password_env: the variable it names is empty")
	}
	var err error
	o.TLS, err = o.TLS.Load()
	return o, err
}
