package compute

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// serviceShape is one of Nova's services. The ID is a number before 2.53.
var serviceShape = shape{numbers: []string{"id"}, hosts: []string{"host"}, zones: []string{"zone"}}

// services is "GET /os-services".
func (a *api) services(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	query := r.URL.Query()
	pods, err := a.hostFilter(ctx, query, nil, "host")
	if err != nil {
		return nil, err
	}
	answers, err := a.look(ctx, by, pods, question{Method: http.MethodGet, Path: r.Path(), Query: query, Version: versionOf(r), Op: "list services"})
	if err != nil {
		return nil, err
	}
	return a.merge(r, answers, "services", serviceShape, nil)
}

// updateService is "PUT /os-services/{id}", and before 2.53 "PUT
// /os-services/{action}", whose body names host and binary.
func (a *api) updateService(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	change := shaped("service", serviceShape)
	if versionOf(r).AtLeast(2, 53) {
		return a.onService(ctx, by, r, change)
	}
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	host := gjson.GetBytes(body, "host")
	if !gjson.ValidBytes(body) || host.Type != gjson.String {
		return a.toSomePod(ctx, by, r)
	}
	podName, there, err := a.Fleet.FindHost(ctx, host.Str)
	if fault.Is(err, fault.NotFound) {
		return a.toSomePod(ctx, by, r)
	}
	if err != nil {
		return nil, err
	}
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	q.Body = gateway.Splice(body, []gateway.Edit{gateway.Instead(host, quote(there))})
	n := a.ask(ctx, by, podName, q)
	if n.Err != nil {
		return nil, n.Err
	}
	return a.replyWith(r, n, change)
}

// deleteService is "DELETE /os-services/{id}".
func (a *api) deleteService(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if versionOf(r).AtLeast(2, 53) {
		return a.onService(ctx, by, r, nil)
	}
	at, err := a.number(ctx, r.Param("id"), "Service %s not found.")
	if err != nil {
		return nil, integer(r.Param("id"), err)
	}
	return a.atNumber(ctx, by, r, at, nil)
}

// onService passes a request about a service to its pod. Services cannot be shown
// one by one, so the pods' lists tell where it is.
func (a *api) onService(ctx context.Context, by identity.Caller, r *gateway.Request, change rewriter) (*gateway.Reply, error) {
	id := r.Param("id")
	if uuid.Validate(id) != nil {
		return a.toSomePod(ctx, by, r)
	}
	answers, err := a.look(ctx, by, nil, question{Method: http.MethodGet, Path: "/os-services", Version: versionOf(r), Op: "look for service"})
	if err != nil {
		return nil, err
	}
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	for _, n := range succeeded(answers) {
		for _, s := range gjson.GetBytes(n.Body, "services").Array() {
			if s.Get("id").Str != id {
				continue
			}
			done := a.ask(ctx, by, n.Pod, q)
			if done.Err != nil {
				return nil, done.Err
			}
			return a.replyWith(r, done, change)
		}
	}
	if err := none(answers); err != nil {
		return nil, err // it may be where nobody answers
	}
	return a.toSomePod(ctx, by, r)
}
