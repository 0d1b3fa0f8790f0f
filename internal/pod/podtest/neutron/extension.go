package neutron

import (
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// aliases are the extensions that a Zed Neutron with the usual plugins lists.
var aliases = strings.Fields(`
address-group address-scope agent agent-resources-synced allowed-address-pairs auto-allocated-topology
availability_zone availability_zone_filter binding binding-extended default-subnetpools dhcp_agent_scheduler dvr
empty-string-filtering expose-port-forwarding-in-fip ext-gw-mode external-net extra_dhcp_opt extraroute extraroute-atomic filter-validation
fip-port-details flavors floating-ip-port-forwarding floating-ip-port-forwarding-description
floating-ip-port-forwarding-detail floating-ip-port-forwarding-port-ranges floatingip-pools ip-substring-filtering l3-flavors l3-ha
l3-port-ip-change-not-allowed l3_agent_scheduler multi-provider net-mtu net-mtu-writable network-ip-availability
network_availability_zone pagination port-device-profile port-mac-address-regenerate port-mac-override
port-numa-affinity-policy port-resource-request port-resource-request-groups port-security
port-security-groups-filtering project-id provider qos qos-bw-limit-direction qos-bw-minimum-ingress qos-default
qos-fip qos-gateway-ip qos-port-network-policy qos-pps qos-pps-minimum qos-pps-minimum-rule-alias
qos-rule-type-details qos-rule-type-filter qos-rules-alias quota-check-limit quota_details quotas rbac-address-group
rbac-address-scope rbac-policies rbac-security-groups rbac-subnetpool revision-if-match router
router-admin-state-down-before-update router_availability_zone security-group security-groups-normalized-cidr
security-groups-remote-address-group security-groups-shared-filtering service-type sorting standard-attr-description
standard-attr-revisions standard-attr-tag standard-attr-timestamp stateful-security-group subnet-service-types
subnet_allocation subnet_onboard subnetpool-prefix-ops trunk trunk-details`)

func extension(alias string) rest.Doc {
	return rest.Doc{"alias": alias, "name": alias, "description": alias, "updated": "2020-01-01T00:00:00-00:00", "links": []any{}}
}

// Lack makes the pod one without the extension: a Neutron of an older release, or
// without the plugin. What else the extension brings stays. Mu must not be held.
func (s *Server) Lack(alias string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.lacking[alias] = true
}

func (s *Server) listExtensions(*rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, a := range aliases {
		if !s.lacking[a] {
			out = append(out, extension(a))
		}
	}
	return rest.OK(rest.Doc{"extensions": out})
}

func (s *Server) showExtension(r *rest.Request) (*rest.Reply, error) {
	for _, a := range aliases {
		if a == r.Param("id") && !s.lacking[a] {
			return rest.OK(rest.Doc{"extension": extension(a)})
		}
	}
	return nil, rest.Errorf(404, "webob", "The resource could not be found.")
}
