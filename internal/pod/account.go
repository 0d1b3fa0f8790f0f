package pod

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tricircle/tricircle/internal/fault"
)

// ErrCredentials is in the chain of an error when Keystone refused the account.
var ErrCredentials = errors.New("credentials refused")

const (
	loginTimeout = 20 * time.Second
	// renewEarly is how long before its end a token is replaced, so that none ends
	// within a long request.
	renewEarly = 5 * time.Minute
	// refusedFor keeps a wrong password from locking the account: Keystone can count
	// failed logins.
	refusedFor = 10 * time.Second
	// A pod that refuses good tokens must not turn every request into a login:
	// forcedLogins at once, then one per forcedEvery.
	forcedLogins = 5
	forcedEvery  = 10 * time.Second
	// catalogMin is the least age at which a missing endpoint makes us look again.
	catalogMin = 5 * time.Second
)

// AccountOptions say who logs in where. Either a user with password and project,
// or an application credential.
type AccountOptions struct {
	AuthURL string // with or without /v3

	UserID, Username             string
	UserDomainID, UserDomainName string
	Password                     Secret

	ProjectID, ProjectName             string
	ProjectDomainID, ProjectDomainName string

	ApplicationCredentialID, ApplicationCredentialName string
	ApplicationCredentialSecret                        Secret

	Region, Interface string // what the credentials' source suggests; may be empty
	TLS               TLS

	HTTP *http.Client     // default: one made from TLS
	Now  func() time.Time // default time.Now
}

// String names the account without its secrets.
func (o AccountOptions) String() string {
	who := o.Username
	for _, s := range []string{o.UserID, o.ApplicationCredentialName, o.ApplicationCredentialID} {
		if who == "" {
			who = s
		}
	}
	return who + " at " + o.AuthURL
}

// GoString is String: %#v shows no secret either.
func (o AccountOptions) GoString() string { return o.String() }

// Account is a login at Keystone: a token that renews itself, and the catalog that
// came with it. It is safe for concurrent use.
type Account struct {
	options AccountOptions
	flight  singleflight.Group

	mu      sync.Mutex
	current *session
	stale   bool // the catalog should be read again
	refusal error
	refused time.Time
	forced  int // logins that refused tokens have cost, less what time has forgiven
	forgave time.Time
}

// NewAccount makes an account. It makes no call.
func NewAccount(o AccountOptions) *Account {
	o.AuthURL = strings.TrimSuffix(strings.TrimRight(o.AuthURL, "/"), "/v3") + "/v3"
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HTTP == nil {
		o.HTTP = o.TLS.client()
	}
	return &Account{options: o}
}

// String names the account without its secrets.
func (a *Account) String() string { return a.options.String() }

// GoString is String: %#v shows no secret either.
func (a *Account) GoString() string { return a.options.String() }

// AuthURL is Keystone's address, ending in /v3.
func (a *Account) AuthURL() string { return a.options.AuthURL }

// HTTP is the client that reaches Keystone.
func (a *Account) HTTP() *http.Client { return a.options.HTTP }

// Token is a valid token of the account.
func (a *Account) Token(ctx context.Context) (string, error) {
	s, err := a.session(ctx)
	if err != nil {
		return "", err
	}
	return s.token, nil
}

// ProjectID is the project of the account's token.
func (a *Account) ProjectID(ctx context.Context) (string, error) {
	s, err := a.session(ctx)
	if err != nil {
		return "", err
	}
	return s.projectID, nil
}

// Roles are the roles of the account's token.
func (a *Account) Roles(ctx context.Context) ([]string, error) {
	s, err := a.session(ctx)
	if err != nil {
		return nil, err
	}
	return s.roles, nil
}

// Invalidate forgets the token, if it is still the current one: somebody refused
// it.
func (a *Account) Invalidate(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == nil || a.current.token != token {
		return
	}
	if now := a.options.Now(); now.Sub(a.forgave) >= forcedEvery {
		a.forced = max(0, a.forced-int(now.Sub(a.forgave)/forcedEvery))
		a.forgave = now
	}
	if a.forced < forcedLogins {
		a.forced++
		a.current = nil
	}
}

// staleCatalog makes the next look-up of an endpoint read the catalog again.
func (a *Account) staleCatalog() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stale = a.current != nil
}

// session is the current login. Near its end it is renewed in the background, so
// that Keystone may be away for a while.
func (a *Account) session(ctx context.Context) (*session, error) {
	a.mu.Lock()
	s, refusal, refused := a.current, a.refusal, a.refused
	a.mu.Unlock()
	now := a.options.Now()
	switch {
	case s != nil && now.Before(s.renewAt()):
		return s, nil
	case refusal != nil && now.Sub(refused) < refusedFor:
		if s != nil && s.validAt(now) {
			return s, nil
		}
		return nil, refusal
	case s != nil && s.validAt(now):
		a.renew(s)
		return s, nil
	}
	return a.wait(ctx, a.renew(s))
}

// renew starts a login to replace seen, unless one is under way or has just been
// made. The login has its own deadline: a caller who goes away does not fail it for
// the others.
func (a *Account) renew(seen *session) <-chan singleflight.Result {
	return a.flight.DoChan("login", func() (any, error) {
		if s, err := a.renewed(seen); s != nil || err != nil {
			return s, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
		defer cancel()
		s, err := a.login(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case err == nil:
			a.current, a.stale, a.refusal = s, false, nil
		case errors.Is(err, ErrCredentials):
			a.refusal, a.refused = err, a.options.Now()
		}
		return s, err
	})
}

// renewed is the outcome of a login that ended since the caller saw seen.
func (a *Account) renewed(seen *session) (*session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.options.Now()
	if a.current != nil && a.current != seen && a.current.validAt(now) {
		return a.current, nil
	}
	if a.refusal != nil && now.Sub(a.refused) < refusedFor {
		return nil, a.refusal
	}
	return nil, nil
}

func (a *Account) wait(ctx context.Context, login <-chan singleflight.Result) (*session, error) {
	select {
	case r := <-login:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*session), nil
	case <-ctx.Done():
		return nil, &fault.Error{
			Kind:    fault.Unavailable,
			Message: "cannot log in at Keystone in time",
			Err:     context.Cause(ctx),
		}
	}
}
