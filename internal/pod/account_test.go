package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
)

func mustToken(t *testing.T, a *Account) string {
	t.Helper()
	token, err := a.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAccountKeepsItsToken(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	a := k.account()
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			if token, err := a.Token(t.Context()); err != nil || token != "token-1" {
				t.Errorf("Token = %q, %v, want token-1", token, err)
			}
		})
	}
	wait.Wait()
	k.clock.Add(54 * time.Minute)
	mustToken(t, a)
	if n := k.logins.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	project, err := a.ProjectID(t.Context())
	if err != nil || project != "service-project" {
		t.Errorf("ProjectID = %q, %v", project, err)
	}
}

func TestAccountRenewsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	a := k.account()
	mustToken(t, a)
	release := make(chan struct{})
	k.set(func() { k.before = func(http.ResponseWriter) bool { <-release; return false } })
	k.clock.Add(56 * time.Minute)
	if token := mustToken(t, a); token != "token-1" {
		t.Errorf("Token = %q while the renewal is under way, want the old one", token)
	}
	renewal := a.renew(nil) // joins the one under way
	close(release)
	if r := <-renewal; r.Err != nil {
		t.Fatal(r.Err)
	}
	if token := mustToken(t, a); token != "token-2" {
		t.Errorf("Token = %q after the renewal, want token-2", token)
	}
	if n := k.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestAccountSurvivesKeystoneWhileItsTokenLasts(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	a := k.account()
	mustToken(t, a)
	k.Close()
	k.clock.Add(58 * time.Minute)
	mustToken(t, a)
	k.clock.Add(2 * time.Minute)
	_, err := a.Token(t.Context())
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "cannot log in at Keystone: connection refused") {
		t.Errorf("Token = %v, want Unavailable", err)
	}
}

func TestAccountRenewsShortTokensHalfWay(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	k.lifetime = 2 * time.Minute
	a := k.account()
	mustToken(t, a)
	k.clock.Add(50 * time.Second)
	mustToken(t, a)
	if n := k.logins.Load(); n != 1 {
		t.Errorf("%d logins before half the time, want 1", n)
	}
	k.clock.Add(65 * time.Second) // within the last ten seconds: waits for a new one
	if token := mustToken(t, a); token != "token-2" {
		t.Errorf("Token = %q, want token-2", token)
	}
}

func TestAccountInvalidate(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	a := k.account()
	first := mustToken(t, a)
	a.Invalidate(first)
	second := mustToken(t, a)
	a.Invalidate(first) // a straggler's complaint about the old one
	if token := mustToken(t, a); second == first || token != second {
		t.Errorf("tokens %s, %s, %s: want a new one and then the same", first, second, token)
	}
	// A pod that refuses everything does not cost a login each time.
	for range 100 {
		a.Invalidate(mustToken(t, a))
	}
	if n := k.logins.Load(); n > forcedLogins+1 {
		t.Errorf("%d logins after 100 complaints, want at most %d", n, forcedLogins+1)
	}
	k.clock.Add(forcedEvery)
	before := k.logins.Load()
	a.Invalidate(mustToken(t, a))
	mustToken(t, a)
	if n := k.logins.Load(); n != before+1 {
		t.Errorf("%d logins after a while, want %d", n, before+1)
	}
}

func TestAccountRemembersARefusal(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	a := k.account()
	a.options.Password = "wrong"
	for range 20 {
		_, err := a.Token(t.Context())
		if !fault.Is(err, fault.Unavailable) || !errors.Is(err, ErrCredentials) {
			t.Fatalf("Token = %v, want Unavailable with ErrCredentials", err)
		}
		if want := "Keystone refuses the service account tricircle at " + k.URL; !strings.Contains(err.Error(), want) {
			t.Fatalf("Token = %v, want %q in it", err, want)
		}
	}
	if n := k.logins.Load(); n != 1 {
		t.Errorf("%d logins with a wrong password, want 1: Keystone may lock the account", n)
	}
	k.clock.Add(refusedFor)
	_, _ = a.Token(t.Context())
	if n := k.logins.Load(); n != 2 {
		t.Errorf("%d logins after a while, want 2", n)
	}
}

func TestAccountOfABrokenKeystone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   string
	}{
		{"503", func(w http.ResponseWriter) { w.WriteHeader(503) }, "it answered 503: 503 Service Unavailable"},
		{"garbage", func(w http.ResponseWriter) {
			w.Header().Set("X-Subject-Token", "x")
			w.WriteHeader(201)
			_, _ = w.Write([]byte("<html>"))
		}, "its answer is not a token"},
		{"no token", func(w http.ResponseWriter) {
			w.WriteHeader(201)
			_, _ = w.Write([]byte(`{"token": {"expires_at": "2030-01-01T00:00:00Z"}}`))
		}, "its answer is not a token"},
		{"cut", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "connection closed before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newFakeKeystone(t)
			k.before = func(w http.ResponseWriter) bool { tt.answer(w); return true }
			_, err := k.account().Token(t.Context())
			if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Token = %v, want Unavailable: %q", err, tt.want)
			}
		})
	}
}

// Who goes away does not fail the login for the others.
func TestAccountLoginOutlivesItsFirstCaller(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	k.before = func(http.ResponseWriter) bool { close(arrived); <-release; return false }
	a := k.account()
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := a.Token(ctx)
		first <- err
	}()
	<-arrived
	second := make(chan error, 1)
	go func() {
		_, err := a.Token(t.Context())
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Unavailable) {
		t.Errorf("the first = %v, want canceled", err)
	}
	close(release)
	if err := <-second; err != nil {
		t.Errorf("the second = %v", err)
	}
}

func TestLoginBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		o    AccountOptions
		want string
	}{
		{"names", AccountOptions{Username: "u", Password: "p", ProjectName: "j", UserDomainName: "D", ProjectDomainID: "e"},
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"domain":{"name":"D"},"name":"u","password":"p"}}},"scope":{"project":{"domain":{"id":"e"},"name":"j"}}}}`},
		{"IDs", AccountOptions{UserID: "u", Username: "x", Password: "p", ProjectID: "j", ProjectName: "x"},
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"u","password":"p"}}},"scope":{"project":{"id":"j"}}}}`},
		{"domains by default", AccountOptions{Username: "u", Password: "p", ProjectName: "j"},
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"domain":{"id":"default"},"name":"u","password":"p"}}},"scope":{"project":{"domain":{"id":"default"},"name":"j"}}}}`},
		{"application credential", AccountOptions{ApplicationCredentialID: "a", ApplicationCredentialSecret: "s"},
			`{"auth":{"identity":{"application_credential":{"id":"a","secret":"s"},"methods":["application_credential"]}}}`},
		{"application credential by name", AccountOptions{ApplicationCredentialName: "a", ApplicationCredentialSecret: "s", UserID: "u"},
			`{"auth":{"identity":{"application_credential":{"name":"a","secret":"s","user":{"id":"u"}},"methods":["application_credential"]}}}`},
	} {
		got, err := json.Marshal(tt.o.loginBody())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	o := AccountOptions{
		AuthURL: "http://k", Username: "u", Password: "s3cret", ApplicationCredentialSecret: "s3cret",
	}
	a := NewAccount(o)
	c := New(Options{Name: "p", Account: a})
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "o", o, "a", a, "s", o.Password)
	js, _ := json.Marshal(o.Password)
	for _, shown := range []string{
		fmt.Sprint(o, a, &o, o.Password), fmt.Sprintf("%+v %#v %s %q", o, o, o, o), fmt.Sprintf("%+v %#v", a, a),
		fmt.Sprintf("%#v %q %x", o.Password, o.Password, o.Password.String()), log.String(), string(js),
		fmt.Sprintf("%v", c.Options),
	} {
		if strings.Contains(shown, "s3cret") {
			t.Errorf("shown: %s", shown)
		}
	}
	if Secret("").String() != "" {
		t.Error("an empty secret should look empty")
	}
}
