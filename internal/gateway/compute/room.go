package compute

import (
	"context"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fleet"
)

// learnRoom sees a server that its pod found no host for. Nova answers 202 first
// and fails the server later, which is then the user's; but for a while the next
// ones of its size go to other pods. A member of a server group says nothing about
// others: its group may have left it no host.
func (a *api) learnRoom(ctx context.Context, podName string, body []byte) {
	server := gjson.GetBytes(body, "server")
	if server.Get("status").Str != "ERROR" || !strings.HasPrefix(server.Get("fault.message").Str, noValidHost) {
		return
	}
	if group, err := a.Store.GroupOf(ctx, server.Get("id").Str); group != "" || err != nil || server.Get("server_groups.0").Exists() {
		return
	}
	at, err := time.Parse(time.RFC3339, server.Get("fault.created").Str)
	if err != nil {
		return
	}
	flavor := server.Get("flavor")
	size := fleet.Size{ // as it is shown since 2.47
		VCPUs: int(flavor.Get("vcpus").Int()), RAM: int(flavor.Get("ram").Int()), Disk: int(flavor.Get("disk").Int() + flavor.Get("ephemeral").Int()),
	}
	if known := a.Fleet.Size(flavor.Get("id").Str); known != nil {
		size = *known
	}
	if size.RAM > 0 {
		a.Fleet.NoHost(podName, size, at)
	}
}
