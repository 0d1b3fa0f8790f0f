package identity

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/tricircle/tricircle/internal/fault"
)

// Defaults of Options, and bounds that nobody needs to set.
const (
	DefaultTTL  = 5 * time.Minute
	DefaultSize = 50_000

	// refusalTTL keeps a client that insists on a bad token away from Keystone.
	refusalTTL = 10 * time.Second
	// callTimeout bounds one validation, whoever waits for it.
	callTimeout = 20 * time.Second
	// maxToken is more than the longest token of any Keystone; maxReply likewise.
	maxToken = 16 << 10
	maxReply = 4 << 20
)

// TokenSource provides the service account's token. pod.Account is one.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
	Invalidate(token string)
}

// Options make a Verifier. AuthURL and Service are required.
type Options struct {
	AuthURL string // with or without /v3
	Service TokenSource
	// TTL bounds how long a revoked token is still taken. Default 5 min.
	TTL    time.Duration
	Size   int              // tokens remembered; default 50,000
	Now    func() time.Time // default time.Now
	Client *http.Client     // to reach Keystone, best pod.Account's
}

// Verifier tells who a token belongs to. It asks Keystone once per token and TTL.
// It is safe for concurrent use.
type Verifier struct {
	options Options
	url     string
	known   *otter.Cache[fingerprint, finding]
	flight  singleflight.Group
}

// fingerprint stands for a token, so that the cache holds nothing worth stealing.
type fingerprint [sha256.Size]byte

// finding is what Keystone said about a token: the caller, or why there is none.
type finding struct {
	caller  Caller // without Token
	refusal error
	until   time.Time
}

// NewVerifier makes a verifier. It makes no call.
func NewVerifier(o Options) *Verifier {
	if o.TTL <= 0 {
		o.TTL = DefaultTTL
	}
	if o.Size <= 0 {
		o.Size = DefaultSize
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = &http.Client{
			Timeout: callTimeout,
			// net/http would carry both tokens to any host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	base := strings.TrimSuffix(strings.TrimRight(o.AuthURL, "/"), "/v3")
	return &Verifier{
		options: o,
		url:     base + "/v3/auth/tokens?nocatalog",
		known: otter.Must(&otter.Options[fingerprint, finding]{
			MaximumSize: o.Size,
			ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[fingerprint, finding]) time.Duration {
				return e.Value.until.Sub(o.Now())
			}),
			Clock: clock(o.Now),
		}),
	}
}

// clock lets the cache run on the verifier's time. It does not tick: whatever has
// expired goes when something new comes.
type clock func() time.Time

func (c clock) NowNano() int64                      { return c().UnixNano() }
func (c clock) Tick(time.Duration) <-chan time.Time { return nil }

// Verify returns the caller the token belongs to. An unknown, expired or revoked
// token is fault.Unauthenticated; without an answer from Keystone it is
// fault.Unavailable.
func (v *Verifier) Verify(ctx context.Context, token string) (Caller, error) {
	if !wellFormed(token) {
		return Caller{}, errRefused()
	}
	key := fingerprint(sha256.Sum256([]byte(token)))
	if f, ok := v.recall(key); ok {
		return f.result(token)
	}
	// The call is nobody's in particular: if the first of those who wait goes away,
	// the others still get its answer.
	answer := v.flight.DoChan(string(key[:]), func() (any, error) {
		if f, ok := v.recall(key); ok { // found while this one came here
			return f, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		f, err := v.ask(ctx, token)
		if err == nil {
			v.known.Set(key, f)
		}
		return f, err
	})
	select {
	case r := <-answer:
		if r.Err != nil {
			return Caller{}, r.Err
		}
		return r.Val.(finding).result(token)
	case <-ctx.Done():
		return Caller{}, &fault.Error{
			Kind:    fault.Unavailable,
			Message: "cannot validate the token in time",
			Err:     context.Cause(ctx),
		}
	}
}

func (v *Verifier) recall(key fingerprint) (finding, bool) {
	f, ok := v.known.GetIfPresent(key)
	return f, ok && v.options.Now().Before(f.until)
}

// Forget makes the next Verify ask Keystone: somebody else refused the token.
func (v *Verifier) Forget(token string) {
	v.known.Invalidate(sha256.Sum256([]byte(token)))
}

func (f finding) result(token string) (Caller, error) {
	if f.refusal != nil {
		return Caller{}, f.refusal
	}
	c := f.caller
	c.Token = token
	return c, nil
}

// wellFormed keeps from Keystone what cannot be a token, and what cannot be in a
// header.
func wellFormed(token string) bool {
	if token == "" || len(token) > maxToken {
		return false
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func errRefused() error {
	return fault.New(fault.Unauthenticated, "", "the token is missing, expired, revoked or not of this Keystone")
}

// ask validates the token at Keystone. The service account's own token may have
// been revoked: it is renewed once.
func (v *Verifier) ask(ctx context.Context, token string) (finding, error) {
	for again := false; ; again = true {
		own, err := v.options.Service.Token(ctx)
		if err != nil {
			return finding{}, fmt.Errorf("cannot validate the token: %w", err)
		}
		resp, err := v.call(ctx, own, token)
		if err != nil {
			return finding{}, &fault.Error{
				Kind:    fault.Unavailable,
				Message: "cannot validate the token: Keystone does not answer",
				Err:     err,
			}
		}
		if resp.StatusCode == http.StatusUnauthorized && !again {
			_ = resp.Body.Close()
			v.options.Service.Invalidate(own)
			continue
		}
		defer resp.Body.Close()
		return v.read(resp)
	}
}

func (v *Verifier) call(ctx context.Context, own, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "tricircle")
	req.Header.Set("X-Auth-Token", own)
	req.Header.Set("X-Subject-Token", token)
	return v.options.Client.Do(req)
}

// read makes a finding of Keystone's answer. What Keystone says of our own token
// never becomes a verdict about the caller's.
func (v *Verifier) read(resp *http.Response) (finding, error) {
	switch resp.StatusCode {
	case http.StatusOK:
		return v.readToken(resp.Body)
	case http.StatusNotFound:
		return finding{refusal: errRefused(), until: v.options.Now().Add(refusalTTL)}, nil
	case http.StatusUnauthorized:
		return finding{}, fault.New(fault.Unavailable, "", "cannot validate the token: Keystone refuses the service account's own token")
	case http.StatusForbidden:
		return finding{}, fault.New(fault.Unavailable, "", "cannot validate the token: the service account may not validate tokens; it needs the role admin or service")
	}
	return finding{}, fault.New(fault.Unavailable, "", "cannot validate the token: Keystone answers %d", resp.StatusCode)
}

// named is how Keystone refers to things.
type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type owned struct {
	named
	Domain named `json:"domain"`
}

func (v *Verifier) readToken(body io.Reader) (finding, error) {
	var reply struct {
		Token struct {
			ExpiresAt time.Time `json:"expires_at"`
			User      owned     `json:"user"`
			Project   owned     `json:"project"`
			Roles     []named   `json:"roles"`
		} `json:"token"`
	}
	err := json.NewDecoder(io.LimitReader(body, maxReply)).Decode(&reply)
	t := reply.Token
	if err != nil || t.User.ID == "" || t.ExpiresAt.IsZero() {
		return finding{}, &fault.Error{
			Kind:    fault.Unavailable,
			Message: "cannot validate the token: Keystone's answer makes no sense",
			Err:     err,
		}
	}
	now := v.options.Now()
	if !now.Before(t.ExpiresAt) {
		return finding{refusal: errRefused(), until: now.Add(refusalTTL)}, nil
	}
	c := Caller{
		UserID:          t.User.ID,
		UserName:        t.User.Name,
		UserDomainID:    t.User.Domain.ID,
		ProjectID:       t.Project.ID,
		ProjectName:     t.Project.Name,
		ProjectDomainID: t.Project.Domain.ID,
		ExpiresAt:       t.ExpiresAt,
	}
	for _, r := range t.Roles {
		c.Roles = append(c.Roles, r.Name)
	}
	c.Roles = slices.Clip(c.Roles) // shared by all who bring this token
	until := now.Add(v.options.TTL)
	if t.ExpiresAt.Before(until) {
		until = t.ExpiresAt
	}
	return finding{caller: c, until: until}, nil
}
