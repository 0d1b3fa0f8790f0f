package network

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tricircle/tricircle/internal/topology"
)

// reader reads an attribute as JSON gave it: string, json.Number, bool, nil,
// []any or map[string]any.
type reader func(name string, v any) (any, error)

// unfit is the refusal of a value, as Neutron's validators word it.
func unfit(name, reason string, args ...any) error {
	return badRequest("Invalid input for %s. Reason: %s.", name, fmt.Sprintf(reason, args...))
}

// python shows a value as Neutron's messages do.
func python(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = quoted(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for k, e := range v {
			parts = append(parts, "'"+k+"': "+quoted(e))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func quoted(v any) string {
	if s, ok := v.(string); ok {
		return "'" + s + "'"
	}
	return python(v)
}

// readText reads a string of at most limit characters.
func readText(limit int) reader {
	return func(name string, v any) (any, error) {
		s, ok := v.(string)
		if !ok {
			return nil, unfit(name, "'%s' is not a valid string", python(v))
		}
		if utf8.RuneCountInString(s) > limit {
			return nil, unfit(name, "'%s' exceeds maximum length of %d", s, limit)
		}
		return s, nil
	}
}

// readFlag reads a boolean in any way that Python's strutils does.
func readFlag(_ string, v any) (any, error) {
	switch strings.ToLower(strings.TrimSpace(python(v))) {
	case "1", "t", "true", "on", "y", "yes":
		return true, nil
	case "0", "f", "false", "off", "n", "no":
		return false, nil
	}
	return nil, invalidInput("'%s' cannot be converted to boolean", python(v))
}

// readNumber reads an integer, also as a string.
func readNumber(_ string, v any) (any, error) {
	text := ""
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, invalidInput("'%s' is not an integer", python(v))
	}
	return n, nil
}

func readNonNegative(name string, v any) (any, error) {
	n, err := readNumber(name, v)
	if err == nil && n.(int) < 0 {
		return nil, unfit(name, "'%d' should be non-negative", n)
	}
	return n, err
}

// readOneOf reads one of a few strings or numbers.
func readOneOf[T comparable](read reader, all ...T) reader {
	return func(name string, v any) (any, error) {
		if read != nil {
			var err error
			if v, err = read(name, v); err != nil {
				return nil, err
			}
		}
		if t, ok := v.(T); !ok || !slices.Contains(all, t) {
			return nil, unfit(name, "%s is not in valid_values", python(v))
		}
		return v, nil
	}
}

var uuidLike = regexp.MustCompile(`^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$`)

func readUUID(name string, v any) (any, error) {
	s, ok := v.(string)
	if !ok || !uuidLike.MatchString(s) {
		return nil, unfit(name, "'%s' is not a valid UUID", python(v))
	}
	return s, nil
}

// readTexts reads a list of strings that differ.
func readTexts(name string, v any) (any, error) { return readList(name, v, readText(255)) }

// readUUIDs reads a list of UUIDs that differ; null is the empty list.
func readUUIDs(name string, v any) (any, error) {
	if v == nil {
		return []string{}, nil
	}
	return readList(name, v, readUUID)
}

func readList(name string, v any, item reader) (any, error) {
	elements, ok := v.([]any)
	if !ok {
		return nil, unfit(name, "'%s' is not a list", python(v))
	}
	all := []string{}
	for _, e := range elements {
		read, err := item(name, e)
		if err != nil {
			return nil, err
		}
		if s := read.(string); slices.Contains(all, s) {
			return nil, unfit(name, "Duplicate items in the list: '%s'", s)
		}
		all = append(all, read.(string))
	}
	return all, nil
}

// parseIP reads an address; the reason is for the client.
func parseIP(v any) (netip.Addr, string) {
	s, _ := v.(string)
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Sprintf("'%s' is not a valid IP address", python(v))
	}
	return a, ""
}

// readIP reads an address; null is none.
func readIP(name string, v any) (any, error) {
	if v == nil {
		return netip.Addr{}, nil
	}
	a, reason := parseIP(v)
	if reason != "" {
		return nil, unfit(name, "%s", reason)
	}
	return a, nil
}

func readCIDR(_ string, v any) (any, error) {
	p, err := topology.ParsePrefix(python(v))
	if err != nil {
		return nil, invalidInput("%s is not in a CIDR format", python(v))
	}
	return p, nil
}

// readMAC reads a MAC address; null is any.
func readMAC(name string, v any) (any, error) {
	if v == nil {
		return "", nil
	}
	s, _ := v.(string)
	mac, ok := topology.ParseMAC(s)
	if !ok {
		return nil, unfit(name, "'%s' is not a valid MAC address", python(v))
	}
	return mac, nil
}

// keysOf checks that v is an object with just these members.
func keysOf(v any, keys ...string) (map[string]any, string) {
	expected := "{'" + strings.Join(keys, "', '") + "'}"
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Sprintf("Invalid input. '%s' must be a dictionary with keys: ['%s']", python(v), strings.Join(keys, "', '"))
	}
	given := make([]string, 0, len(m))
	fits := len(m) == len(keys)
	for k := range m {
		given = append(given, "'"+k+"'")
		fits = fits && slices.Contains(keys, k)
	}
	if !fits {
		slices.Sort(given)
		return nil, fmt.Sprintf("Validation of dictionary's keys failed. Expected keys: %s Provided keys: {%s}",
			expected, strings.Join(given, ", "))
	}
	return m, ""
}

// filterValue reads one value of a filter into what the store compares with.
type filterValue func(v string) (string, error)

func asIs(v string) (string, error) { return v, nil }

func filterFlag(v string) (string, error) {
	b, err := readFlag("", v)
	if err != nil {
		return "", err
	}
	return strconv.FormatBool(b.(bool)), nil
}

func filterNumber(v string) (string, error) {
	n, err := readNumber("", v)
	if err != nil {
		return "", err
	}
	return strconv.Itoa(n.(int)), nil
}

func filterMAC(v string) (string, error) {
	if mac, ok := topology.ParseMAC(v); ok {
		return mac, nil
	}
	return v, nil
}

func filterIP(v string) (string, error) {
	if a, err := netip.ParseAddr(v); err == nil {
		return a.String(), nil
	}
	return v, nil
}

func filterCIDR(v string) (string, error) {
	p, err := readCIDR("", v)
	if err != nil {
		return "", err
	}
	return p.(netip.Prefix).String(), nil
}
