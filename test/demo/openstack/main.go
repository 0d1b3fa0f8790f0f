// Command openstack stands in for the public client where that is not
// installed: it understands the few commands of the demo and nothing else, so
// that the demo tells the same story on any machine.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: openstack KIND create|list|show|delete …")
	}
	k, ok := kinds()[args[0]]
	if !ok {
		return fmt.Errorf("%s is not a kind that this stand-in knows", args[0])
	}
	region, err := login(ctx)
	if err != nil {
		return err
	}
	service, err := k.connect(region.provider, region.where)
	if err != nil {
		return err
	}
	c := client{ctx: ctx, region: region, kind: k, service: service, args: parse(args[2:])}
	switch args[1] {
	case "create":
		return c.create()
	case "list":
		return c.list()
	case "show":
		return c.show()
	case "delete":
		return c.delete()
	}
	return fmt.Errorf("%s is not an action that this stand-in knows", args[1])
}

type region struct {
	provider *gophercloud.ProviderClient
	where    gophercloud.EndpointOpts
}

// login reads OS_CLOUD out of the file that OS_CLIENT_CONFIG_FILE names.
func login(ctx context.Context) (region, error) {
	text, err := os.ReadFile(os.Getenv("OS_CLIENT_CONFIG_FILE"))
	if err != nil {
		return region{}, err
	}
	var file struct {
		Clouds map[string]struct {
			Region string `yaml:"region_name"`
			Auth   struct {
				URL      string `yaml:"auth_url"`
				User     string `yaml:"username"`
				Password string `yaml:"password"`
				Project  string `yaml:"project_name"`
				Domain   string `yaml:"user_domain_id"`
			} `yaml:"auth"`
		} `yaml:"clouds"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return region{}, err
	}
	cloud, ok := file.Clouds[os.Getenv("OS_CLOUD")]
	if !ok {
		return region{}, fmt.Errorf("there is no cloud %q", os.Getenv("OS_CLOUD"))
	}
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: cloud.Auth.URL, Username: cloud.Auth.User, Password: cloud.Auth.Password,
		TenantName: cloud.Auth.Project, DomainID: cloud.Auth.Domain,
	})
	return region{provider, gophercloud.EndpointOpts{Region: cloud.Region}}, err
}
