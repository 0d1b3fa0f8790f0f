package compute

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// usersFilters are the filters that Nova knows of those who are no admins, by the
// version that brought them. It ignores others.
var usersFilters = map[string]int{
	"reservation_id": 1, "name": 1, "status": 1, "image": 1, "flavor": 1, "ip": 1, "changes-since": 1, "ip6": 5, "tags": 26, "tags-any": 26,
	"not-tags": 26, "not-tags-any": 26, "changes-before": 66, "locked": 73, "availability_zone": 83, "config_drive": 83, "key_name": 83,
	"created_at": 83, "launched_at": 83, "terminated_at": 83, "power_state": 83, "task_state": 83, "vm_state": 83, "progress": 83, "user_id": 83,
	"hostname": 90,
}

// sameText are the filters that a member of the server must equal, by its name.
var sameText = map[string]string{
	"uuid": "id", "project_id": "tenant_id", "tenant_id": "tenant_id", "user_id": "user_id", "image": "image.id", "image_ref": "image.id",
	"flavor": flavorKept, "key_name": "key_name", "vm_state": `OS-EXT-STS\:vm_state`, "task_state": `OS-EXT-STS\:task_state`,
	"power_state": `OS-EXT-STS\:power_state`, "hostname": `OS-EXT-SRV-ATTR\:hostname`, "locked": "locked", "access_ip_v4": "accessIPv4",
	"access_ip_v6": "accessIPv6", "availability_zone": `OS-EXT-AZ\:availability_zone`, "progress": "progress",
}

type waitingTest func(w store.WaitingServer, server gjson.Result) bool

// waitingFilter is the client's filters for a server that waits. What is not known
// of it before it is in its pod (addresses, hosts) it does not match.
func waitingFilter(query url.Values, by identity.Caller, v gateway.Microversion) func(store.WaitingServer, document) bool {
	var tests []waitingTest
	for name, values := range query {
		minor, users := usersFilters[name]
		if name == "all_tenants" || len(values) == 0 || !by.IsAdmin() && (!users || !v.AtLeast(2, minor)) {
			continue
		}
		tests = append(tests, testOf(name, values))
	}
	return func(w store.WaitingServer, d document) bool {
		server := gjson.ParseBytes(mustJSON(d))
		return !slices.ContainsFunc(tests, func(test waitingTest) bool { return !test(w, server) })
	}
}

func testOf(name string, values []string) waitingTest {
	want := values[0]
	if path, ok := sameText[name]; ok {
		return func(_ store.WaitingServer, s gjson.Result) bool { return strings.EqualFold(s.Get(path).String(), want) }
	}
	switch name {
	case "name", "display_name":
		return matching("name", want)
	case "description", "display_description":
		return matching("description", want)
	case "status":
		return func(_ store.WaitingServer, s gjson.Result) bool {
			return slices.ContainsFunc(values, func(status string) bool { return strings.EqualFold(status, s.Get("status").Str) })
		}
	case "config_drive":
		return func(_ store.WaitingServer, s gjson.Result) bool {
			return truth(json.RawMessage(want)) == (s.Get("config_drive").Str == "True")
		}
	case "tags", "tags-any", "not-tags", "not-tags-any":
		return tagged(name, strings.Split(want, ","))
	case "changes-since", "changes-before":
		return changed(name, want)
	case "deleted":
		return func(store.WaitingServer, gjson.Result) bool { return !truth(json.RawMessage(want)) }
	}
	return func(store.WaitingServer, gjson.Result) bool { return false }
}

func matching(path, pattern string) waitingTest {
	re, err := regexp.Compile("(?i)" + pattern)
	return func(_ store.WaitingServer, s gjson.Result) bool {
		return err == nil && re.MatchString(s.Get(path).String())
	}
}

func tagged(name string, wanted []string) waitingTest {
	return func(_ store.WaitingServer, s gjson.Result) bool {
		has := 0
		for _, tag := range s.Get("tags").Array() {
			if slices.Contains(wanted, tag.Str) {
				has++
			}
		}
		switch name {
		case "tags":
			return has == len(wanted)
		case "tags-any":
			return has > 0
		case "not-tags":
			return has < len(wanted)
		}
		return has == 0
	}
}

func changed(name, moment string) waitingTest {
	at, ok := dispatch.ParseTime(moment)
	return func(w store.WaitingServer, _ gjson.Result) bool {
		updated := w.UpdatedAt.Truncate(time.Second)
		return ok && (name == "changes-since" && !updated.Before(at) || name == "changes-before" && !updated.After(at))
	}
}
