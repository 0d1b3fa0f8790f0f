package compute

import (
	"context"
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// metadata serves the metadata of a server, all of it at once: the mark does not
// show. A PUT replaces the mark too, which is fine once the server is recorded.
func (a *api) metadata(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := checkMark(r, "metadata"); err != nil {
		return nil, err
	}
	podName, err := a.serverPod(ctx, by, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return a.rewritten(ctx, by, r, podName, func(_ view, body []byte) []byte {
		m := gjson.GetBytes(body, "metadata")
		if !gjson.ValidBytes(body) || !m.IsObject() {
			return nil
		}
		return gateway.Splice(body, []gateway.Edit{gateway.Instead(m, gateway.WithoutMember(m, markKey))})
	})
}

// metadataItem serves one key.
func (a *api) metadataItem(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if r.Param("key") == markKey {
		if r.Method == "PUT" {
			return nil, reservedKey()
		}
		return nil, fault.New(fault.NotFound, "", "Metadata item was not found")
	}
	if err := checkMark(r, "meta"); err != nil {
		return nil, err
	}
	return a.routed(ctx, by, r)
}

// checkMark refuses a body that sets our key. path is where the metadata is.
func checkMark(r *gateway.Request, path string) error {
	if r.Method == "GET" || r.Method == "DELETE" {
		return nil
	}
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	var metadata map[string]json.RawMessage
	if raw := gjson.GetBytes(body, path).Raw; raw == "" || json.Unmarshal([]byte(raw), &metadata) != nil {
		return nil // for the pod to judge
	}
	return refuseMark(metadata)
}

func reservedKey() error {
	return fault.New(fault.Invalid, "", "Invalid input for field/attribute metadata. The key %q is reserved by this region.", markKey)
}
