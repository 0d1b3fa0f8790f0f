package nova

import (
	"net/http"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// aliases are some of the extensions that Nova has listed since before
// microversions.
var aliases = []string{
	"NMN", "OS-DCF", "OS-EXT-AZ", "OS-EXT-IPS", "OS-EXT-SRV-ATTR", "OS-EXT-STS", "OS-FLV-DISABLED", "OS-FLV-EXT-DATA", "OS-SCH-HNT", "OS-SRV-USG",
	"os-admin-actions", "os-agents", "os-aggregates", "os-attach-interfaces", "os-availability-zone", "os-config-drive", "os-console-output",
	"os-consoles", "os-flavor-access", "os-flavor-manage", "os-hypervisors", "os-instance-actions", "os-keypairs", "os-multiple-create",
	"os-quota-sets", "os-security-groups", "os-server-groups", "os-services", "os-simple-tenant-usage", "os-user-data", "os-volumes",
}

func extension(alias string) rest.Doc {
	return rest.Doc{
		"alias": alias, "name": alias, "description": alias, "links": []any{}, "updated": "2014-12-03T00:00:00Z",
		"namespace": "http://docs.openstack.org/compute/ext/fake_xml",
	}
}

func (s *Server) listExtensions(*rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, a := range aliases {
		out = append(out, extension(a))
	}
	return rest.OK(rest.Doc{"extensions": out})
}

func (s *Server) showExtension(r *rest.Request) (*rest.Reply, error) {
	for _, a := range aliases {
		if a == r.Param("alias") {
			return rest.OK(rest.Doc{"extension": extension(a)})
		}
	}
	return nil, fail(http.StatusNotFound, "The resource could not be found.")
}
