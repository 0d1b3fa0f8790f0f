package compute

import (
	"encoding/json"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
)

// hintKeys are the two names of the scheduler's hints; the first wins, as in Nova.
var hintKeys = []string{"os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"}

// spreadHint is a hint of our own: with the value "pods" each server of a request
// for several goes to another pod of the zone, as long as there are pods.
const spreadHint = "tricircle:spread"

// readHints takes our own hint out, which a pod would make nothing of. Nova's go
// to the pod as they are. A server of another pod in different_host needs no care:
// it is on a different host, and the pod's scheduler skips IDs that it does not know.
func (c *creation) readHints() error {
	for _, key := range hintKeys {
		raw, ok := c.document[key]
		if !ok {
			continue
		}
		var hints map[string]json.RawMessage
		if json.Unmarshal(raw, &hints) != nil || hints == nil {
			return nil // for the pod to refuse, in its words
		}
		value, ok := hints[spreadHint]
		if !ok {
			return nil
		}
		if string(value) != `"pods"` {
			return wrongValue(spreadHint, value, `is not one of ['pods']`)
		}
		delete(hints, spreadHint)
		c.Apart, c.document[key] = true, mustJSON(hints)
		return nil
	}
	return nil
}

// hint is one of the scheduler's hints, under either of the names they have.
func hint(document map[string]json.RawMessage, name string) gjson.Result {
	for _, key := range hintKeys {
		if hints, ok := document[key]; ok {
			return gjson.GetBytes(hints, name)
		}
	}
	return gjson.Result{}
}

// setHint replaces the text of a hint that is there.
func setHint(document map[string]json.RawMessage, name, value string) {
	for _, key := range hintKeys {
		if hints, ok := document[key]; ok {
			at := gjson.GetBytes(hints, name)
			document[key] = gateway.Splice(hints, []gateway.Edit{gateway.Instead(at, quote(value))})
			return
		}
	}
}

// sameHosts are the servers of the hint that asks for their host.
func sameHosts(document map[string]json.RawMessage) []string {
	var ids []string
	for _, id := range hint(document, "same_host").Array() { // one string is an array too
		if id.Type == gjson.String && !slices.Contains(ids, id.Str) {
			ids = append(ids, id.Str)
		}
	}
	return ids
}

// namedHost is a host that the request names, and how to name it otherwise.
type namedHost struct {
	name   string
	rename func(string)
}

// hosts are the hosts and nodes that an admin asks for: behind the zone, or since
// 2.74 in fields of their own.
func (c *creation) hosts() []namedHost {
	var all []namedHost
	add := func(name string, rename func(string)) {
		if name != "" {
			all = append(all, namedHost{name, rename})
		}
	}
	add(c.Zone.Host, func(name string) { c.Zone.Host = name })
	add(c.Zone.Node, func(name string) { c.Zone.Node = name })
	for _, field := range []string{"host", "hypervisor_hostname"} {
		var name string
		if c.atVersion.AtLeast(2, 74) && json.Unmarshal(c.server[field], &name) == nil {
			add(name, func(name string) { c.server[field] = mustJSON(name) })
		}
	}
	return all
}

// readHosts refuses two ways to name a host at once.
func (c *creation) readHosts() error {
	behindZone := 0
	if c.Zone.Host != "" {
		behindZone++
	}
	if c.Zone.Node != "" {
		behindZone++
	}
	if behindZone > 0 && len(c.hosts()) > behindZone {
		return fault.New(fault.Invalid, "",
			"One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually exclusive.")
	}
	return nil
}
