package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// Decision is why the servers of one request went where they did.
type Decision struct {
	RequestID string    `json:"request_id"`
	ProjectID string    `json:"project_id"`
	CreatedAt time.Time `json:"created_at"`
	Servers   []string  `json:"servers"`
	fleet.Record
}

// Explainer says where the servers of a request would go: the body of Nova's
// "POST /servers" for the caller's project. Package compute implements it.
type Explainer func(ctx context.Context, by identity.Caller, request []byte) (fleet.Record, error)

// Decision finds why a server is where it is, by its ID or that of the request.
func (a *Admin) Decision(ctx context.Context, id string) (Decision, error) {
	kept, err := a.Store.FindDecision(ctx, id)
	if err != nil {
		return Decision{}, err
	}
	d := Decision{RequestID: kept.RequestID, ProjectID: kept.ProjectID, CreatedAt: kept.CreatedAt, Servers: kept.Servers}
	if err := json.Unmarshal(kept.Document, &d.Record); err != nil {
		return Decision{}, fmt.Errorf("cannot read decision %s: %w", kept.ID, err)
	}
	return d, nil
}

// ExplainServer says where the servers of a request would go now. The project may
// be named by ID or name; without one it is the caller's.
func (a *Admin) ExplainServer(ctx context.Context, by identity.Caller, project string, request []byte) (fleet.Record, error) {
	if project != "" {
		id, err := a.projectID(ctx, by, project)
		if err != nil {
			return fleet.Record{}, err
		}
		by.ProjectID = id
	}
	return a.Explain(ctx, by, request)
}

var projectForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (a *Admin) projectID(ctx context.Context, by identity.Caller, ref string) (string, error) {
	if projectForm.MatchString(ref) {
		return ref, nil
	}
	k := keystone{a.Account.AuthURL(), by.Token, a.HTTP}
	var out struct{ Projects []struct{ ID, Name string } }
	if err := k.call(ctx, http.MethodGet, "/projects?name="+url.QueryEscape(ref), nil, &out); err != nil {
		return "", err
	}
	for _, p := range out.Projects {
		if p.Name == ref {
			return p.ID, nil
		}
	}
	return "", fault.New(fault.NotFound, "", "no project %s", ref)
}

func (a *Admin) showDecision(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	d, err := a.Decision(ctx, r.Param("id"))
	return wrapped("decision", d, err)
}

func (a *Admin) explainServer(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var in struct {
		ProjectID string `json:"project_id"`
	}
	if err := r.JSON(&in); err != nil {
		return nil, err
	}
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	record, err := a.ExplainServer(ctx, by, in.ProjectID, body)
	return wrapped("explanation", record, err)
}
