package pod

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// session is what a login gave. It is never changed afterwards.
type session struct {
	token          string
	since, expires time.Time
	projectID      string
	roles          []string
	catalog        catalog
}

func (s *session) validAt(t time.Time) bool { return t.Before(s.expires.Add(-10 * time.Second)) }

// renewAt is renewEarly before the end, or half-way where tokens are short.
func (s *session) renewAt() time.Time {
	early := min(renewEarly, s.expires.Sub(s.since)/2)
	return s.expires.Add(-early)
}

// object is a JSON object that is written, not read.
type object map[string]any

// login asks Keystone for a token.
func (a *Account) login(ctx context.Context) (*session, error) {
	body, err := json.Marshal(a.options.loginBody())
	if err != nil {
		return nil, fmt.Errorf("cannot log in at Keystone: %w", err)
	}
	resp, err := a.post(ctx, a.options.AuthURL+"/auth/tokens", body)
	if err != nil {
		return nil, &fault.Error{
			Kind:    fault.Unavailable,
			Message: "cannot log in at Keystone: " + reason(err),
			Err:     err,
		}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		return nil, a.loginFailed(resp)
	}
	return readSession(resp, a.options.Now())
}

func (a *Account) post(ctx context.Context, url string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	// A login may be sent again where Keystone just closed an idle connection: an
	// empty key says so to net/http and is not sent.
	req.Header["Idempotency-Key"] = []string{}
	return a.options.HTTP.Do(req)
}

// loginFailed never yields Unauthenticated: that the service account is refused
// is no fault of the caller's token.
func (a *Account) loginFailed(resp *http.Response) error {
	err := &fault.Error{Kind: fault.Unavailable}
	said := messageOf(resp)
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest, http.StatusNotFound:
		err.Message = fmt.Sprintf("Keystone refuses the service account %s: %s", a, said)
		err.Err = ErrCredentials
	default:
		err.Message = fmt.Sprintf("cannot log in at Keystone: it answered %d: %s", resp.StatusCode, said)
	}
	return err
}

func readSession(resp *http.Response, now time.Time) (*session, error) {
	var reply struct {
		Token struct {
			ExpiresAt time.Time `json:"expires_at"`
			Project   struct {
				ID string `json:"id"`
			} `json:"project"`
			Roles []struct {
				Name string `json:"name"`
			} `json:"roles"`
			Catalog catalog `json:"catalog"`
		} `json:"token"`
	}
	token := resp.Header.Get("X-Subject-Token")
	err := json.NewDecoder(io.LimitReader(resp.Body, maxJSON)).Decode(&reply)
	if err != nil || token == "" || reply.Token.ExpiresAt.IsZero() {
		return nil, &fault.Error{
			Kind:    fault.Unavailable,
			Message: "cannot log in at Keystone: its answer is not a token",
			Err:     err,
		}
	}
	s := &session{
		token:     token,
		since:     now,
		expires:   reply.Token.ExpiresAt,
		projectID: reply.Token.Project.ID,
		catalog:   reply.Token.Catalog,
	}
	for _, r := range reply.Token.Roles {
		s.roles = append(s.roles, r.Name)
	}
	return s, nil
}

// loginBody is the request that Keystone wants.
func (o AccountOptions) loginBody() object {
	if o.ApplicationCredentialID != "" || o.ApplicationCredentialName != "" {
		return object{"auth": object{"identity": object{
			"methods":                []string{"application_credential"},
			"application_credential": o.applicationCredential(),
		}}}
	}
	user := o.user()
	user["password"] = string(o.Password)
	auth := object{"identity": object{
		"methods":  []string{"password"},
		"password": object{"user": user},
	}}
	switch {
	case o.ProjectID != "":
		auth["scope"] = object{"project": object{"id": o.ProjectID}}
	case o.ProjectName != "":
		auth["scope"] = object{"project": object{
			"name":   o.ProjectName,
			"domain": domain(o.ProjectDomainID, o.ProjectDomainName),
		}}
	}
	return object{"auth": auth}
}

func (o AccountOptions) applicationCredential() object {
	c := object{"secret": string(o.ApplicationCredentialSecret)}
	if o.ApplicationCredentialID != "" {
		c["id"] = o.ApplicationCredentialID
		return c
	}
	c["name"], c["user"] = o.ApplicationCredentialName, o.user()
	return c
}

func (o AccountOptions) user() object {
	if o.UserID != "" {
		return object{"id": o.UserID}
	}
	return object{"name": o.Username, "domain": domain(o.UserDomainID, o.UserDomainName)}
}

func domain(id, name string) object {
	switch {
	case id != "":
		return object{"id": id}
	case name != "":
		return object{"name": name}
	}
	return object{"id": "default"}
}
