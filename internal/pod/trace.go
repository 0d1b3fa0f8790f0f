package pod

import (
	"context"
	"net/http"
)

type traceKey struct{}

// WithTrace makes note learn of every answer that calls with this context get:
// which pod it came from and under which request ID the pod logged it. It may be
// called from several goroutines at once.
func WithTrace(ctx context.Context, note func(pod, requestID string)) context.Context {
	return context.WithValue(ctx, traceKey{}, note)
}

func trace(ctx context.Context, name string, header http.Header) {
	note, ok := ctx.Value(traceKey{}).(func(pod, requestID string))
	if !ok {
		return
	}
	if id := header.Get("X-Openstack-Request-Id"); id != "" {
		note(name, id)
	}
}
