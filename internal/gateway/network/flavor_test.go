package network

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRouterFlavors(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	id := func(one, body string) string {
		t.Helper()
		return r.ask("admin", "POST", "/"+one+"s", `{"`+one+`":{`+body+`}}`, 201)[one].(map[string]any)["id"].(string)
	}
	flavor := id("flavor", `"name":"small","service_type":"L3_ROUTER_NAT"`)
	profile := id("service_profile", `"driver":"neutron.services.l3_router.service_providers.single_node.SingleNodeDriver"`)
	spare := id("service_profile", `"metainfo":"{}"`)
	profiles := "/flavors/" + flavor + "/service_profiles"
	refuse := func(user, method, path, body string, status int, kind, message string) {
		t.Helper()
		r.refused(refusal{user, method, path, body, status, kind, message})
	}
	none := "Service Profile  is not associated with flavor " + flavor + "."
	refuse("alice", "POST", "/routers", `{"router":{"flavor_id":"`+flavor+`"}}`, 404, "FlavorServiceProfileBindingNotFound", none)
	add := `{"service_profile":{"id":"` + profile + `"}}`
	got := r.ask("admin", "POST", profiles, add, 201)
	if diff := cmp.Diff(map[string]any{"service_profile": map[string]any{"id": flavor}}, got); diff != "" {
		t.Errorf("adding a profile (-want +got):\n%s", diff)
	}
	got = r.ask("alice", "GET", "/flavors?name=small", "", 200)
	want := map[string]any{"flavors": []any{map[string]any{"id": flavor, "name": "small", "description": "", "service_type": "L3_ROUTER_NAT", "enabled": true,
		"service_profiles": []any{profile}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flavors (-want +got):\n%s", diff)
	}
	router := r.make("alice", "router", `"flavor_id":"`+flavor+`"`)
	if router["flavor_id"] != flavor {
		t.Errorf("router = %v", router)
	}
	if plain := r.make("alice", "router", ""); plain["flavor_id"] != nil {
		t.Errorf("router without a flavor = %v", plain)
	}
	path := "/routers/" + router["id"].(string)
	inUse := "Service Profile " + profile + " is used by some service instance."
	refuse("admin", "POST", profiles, add, 409, "FlavorServiceProfileBindingExists", fmt.Sprintf("Service Profile %s is already associated with flavor %s.", profile, flavor))
	refuse("admin", "POST", profiles, `{"service_profile":{"id":"`+nowhere+`"}}`, 404, "ServiceProfileNotFound", "Service Profile "+nowhere+" could not be found.")
	refuse("admin", "DELETE", profiles+"/"+spare, "", 404, "FlavorServiceProfileBindingNotFound", fmt.Sprintf("Service Profile %s is not associated with flavor %s.", spare, flavor))
	refuse("admin", "PUT", "/service_profiles/"+profile, `{"service_profile":{"enabled":false}}`, 409, "ServiceProfileInUse", inUse)
	refuse("admin", "DELETE", "/service-profiles/"+profile, "", 409, "ServiceProfileInUse", inUse)
	refuse("admin", "DELETE", "/flavors/"+flavor, "", 409, "FlavorInUse", "Flavor "+flavor+" is used by some service instance.")
	refuse("admin", "POST", "/routers", `{"router":{"flavor_id":"`+flavor+`","distributed":true}}`, 400, "InvalidInput",
		"Invalid input for operation: Provider single_node does not support distributed=True.")
	refuse("admin", "POST", "/routers", `{"router":{"flavor_id":"x"}}`, 404, "FlavorNotFound", "Flavor x could not be found.")
	refuse("alice", "POST", "/routers", `{"router":{"flavor_id":null}}`, 404, "FlavorNotFound", "Flavor None could not be found.")
	refuse("admin", "PUT", path, `{"router":{"flavor_id":"`+flavor+`"}}`, 400, "HTTPBadRequest", "Cannot update read-only attribute flavor_id")
	refuse("admin", "PUT", path, `{"router":{"admin_state_up":false,"ha":true}}`, 400, "InvalidInput",
		"Invalid input for operation: Changing the 'ha' and 'distributed' attributes on a router associated with a flavor is not supported.")
	refuse("admin", "POST", "/flavors", `{"flavor":{"name":"x","service_type":"bogus"}}`, 400, "InvalidServiceType", "Invalid service type: bogus.")
	refuse("admin", "POST", "/service_profiles", `{"service_profile":{}}`, 400, "ServiceProfileEmpty", "Service Profile needs either a driver or metainfo.")
	refuse("admin", "POST", "/service_profiles", `{"service_profile":{"driver":"bogus"}}`, 404, "ServiceProfileDriverNotFound",
		"Service Profile driver bogus could not be found.")
	refuse("alice", "POST", "/flavors", `{"flavor":{"name":"x","service_type":"L3_ROUTER_NAT"}}`, 403, "PolicyNotAuthorized", "rule:create_flavor is disallowed by policy")
	r.ask("alice", "DELETE", path, "", 204)
	r.ask("admin", "DELETE", profiles+"/"+profile, "", 204)
	r.ask("admin", "PUT", "/service_profiles/"+profile, `{"service_profile":{"enabled":false}}`, 200)
	r.ask("admin", "POST", profiles, add, 201)
	refuse("alice", "POST", "/routers", `{"router":{"flavor_id":"`+flavor+`"}}`, 503, "ServiceProfileDisabled", "Service Profile is not enabled.")
	r.ask("admin", "DELETE", "/flavors/"+flavor, "", 204)
	r.ask("admin", "DELETE", "/service_profiles/"+profile, "", 204)
}
