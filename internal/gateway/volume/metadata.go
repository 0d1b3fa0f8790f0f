package volume

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/reconcile"
)

// markKey is the metadata key that tells our volumes in a pod. It is ours, so no
// reply shows it and no request may set it.
const markKey = reconcile.MarkKey

// metadataRoutes are those of a volume's metadata, which could show its mark.
func (a *api) metadataRoutes() []gateway.Route {
	var routes []gateway.Route
	for _, method := range []string{get, post, put} {
		routes = append(routes, gateway.Route{Method: method, Pattern: "/volumes/{id}/metadata", Strategy: gateway.Routed, Handle: a.unmarked("metadata")})
	}
	for _, method := range []string{get, put, remove} {
		routes = append(routes, gateway.Route{Method: method, Pattern: "/volumes/{id}/metadata/{key}", Strategy: gateway.Routed, Handle: a.metadataItem})
	}
	return routes
}

// refuseMark refuses metadata that sets our key.
func refuseMark(metadata gjson.Result) error {
	if metadata.Get(markKey).Exists() {
		return fault.New(fault.Invalid, "", "Invalid input for field/attribute metadata. The key %q is reserved by this region.", markKey)
	}
	return nil
}

// refuseMarkIn refuses a request whose body sets our key. path is where its
// metadata is.
func refuseMarkIn(r *gateway.Request, path string) error {
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		return nil
	}
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	return refuseMark(gjson.GetBytes(body, path))
}

// withoutMark takes the mark out of the metadata at the path.
func withoutMark(body []byte, path string) []byte {
	if !bytes.Contains(body, []byte(`"`+markKey+`"`)) {
		return body
	}
	if out, err := sjson.DeleteBytes(body, path+"."+markKey); err == nil {
		return out
	}
	return body
}

// unmarked serves a volume, or its metadata as a whole: the mark does not show. in
// is where the metadata is. A PUT replaces the mark too, which is fine once the
// volume is recorded.
func (a *api) unmarked(in string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if err := refuseMarkIn(r, in); err != nil {
			return nil, err
		}
		reply, err := a.routed(volumes)(ctx, by, r)
		if err != nil {
			return nil, err
		}
		// From version 3.15 on Cinder calls its answer a page of HTML. The entity tag
		// stays the pod's, which compares it with what it has.
		if reply.Stream != nil {
			text, err := io.ReadAll(io.LimitReader(reply.Stream, gateway.MaxRewrite))
			reply.Close()
			if err != nil {
				return nil, &fault.Error{Kind: fault.Unavailable, Message: "show volume metadata: the answer broke off", Err: err}
			}
			reply.Stream, reply.Length, reply.Body = nil, 0, text
		}
		if body, ok := reply.Body.([]byte); ok {
			reply.Body = withoutMark(body, in)
		}
		return reply, nil
	}
}

// metadataItem serves one key of a volume's metadata.
func (a *api) metadataItem(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if r.Param("key") == markKey && r.Method != http.MethodPut {
		return nil, fault.New(fault.NotFound, "", "Volume %s has no metadata with key %s.", r.Param("id"), markKey)
	}
	if err := refuseMarkIn(r, "meta"); err != nil {
		return nil, err
	}
	return a.routed(volumes)(ctx, by, r)
}
