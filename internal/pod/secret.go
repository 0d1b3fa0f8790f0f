package pod

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Secret is a text that no log and no output may show. Use string(s) where it is
// sent.
type Secret string

const hidden = "(hidden)"

// String hides the secret; an empty one stays visible as empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText hides the secret from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// LoadSecret resolves a reference to a secret: "env:NAME" is a variable, "file:PATH"
// the first line of a file, read each time. Errors name the reference, never what is behind it.
func LoadSecret(ref string, getenv func(string) string) (Secret, error) {
	if name, ok := strings.CutPrefix(ref, "env:"); ok {
		if v := getenv(name); v != "" {
			return Secret(v), nil
		}
		return "", fmt.Errorf("the variable %s is empty", name)
	}
	path, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return "", fmt.Errorf("%q is neither env:NAME nor file:PATH", ref)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return Secret(strings.TrimSpace(line)), nil
}
