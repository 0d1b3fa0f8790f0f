package seal_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/seal"
)

func TestSeal(t *testing.T) {
	t.Parallel()
	k := seal.NewKey("secret")
	sealed := k.Seal([]byte("a token"), "server 1")
	if strings.Contains(sealed, "token") || sealed == k.Seal([]byte("a token"), "server 1") {
		t.Errorf("Seal = %s, want something that shows nothing, not even that it is the same", sealed)
	}
	if got, err := seal.NewKey("secret").Open(sealed, "server 1"); err != nil || string(got) != "a token" {
		t.Errorf("Open = %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another key":   func() ([]byte, error) { return seal.NewKey("other").Open(sealed, "server 1") },
		"another thing": func() ([]byte, error) { return k.Open(sealed, "server 2") },
		"changed":       func() ([]byte, error) { return k.Open("AAAA"+sealed[4:], "server 1") },
		"cut":           func() ([]byte, error) { return k.Open(sealed[:8], "server 1") },
		"empty":         func() ([]byte, error) { return k.Open("", "server 1") },
		"no base64":     func() ([]byte, error) { return k.Open("!", "server 1") },
	} {
		if got, err := open(); err == nil {
			t.Errorf("Open of %s = %q, want an error", name, got)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v", k, k, k); shown != "(hidden) (hidden) (hidden)" {
		t.Errorf("a key prints as %s", shown)
	}
}
