package network

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/tricircle/tricircle/internal/topology"
)

// readDHCPOptions reads extra_dhcp_opts; null asks for nothing.
func readDHCPOptions(_ string, v any) (any, error) {
	if v == nil {
		return []topology.WantDHCPOption{}, nil
	}
	elements, ok := v.([]any)
	if !ok {
		return nil, invalidInput("'%s' is not a list", python(v))
	}
	want := []topology.WantDHCPOption{}
	for _, e := range elements {
		o, ok := readDHCPOption(e)
		if !ok {
			return nil, invalidInput("No valid key specs matched for: %s", python(e))
		}
		want = append(want, o)
	}
	return want, nil
}

func readDHCPOption(e any) (o topology.WantDHCPOption, ok bool) {
	m, _ := e.(map[string]any)
	value, given := m["opt_value"]
	if o.Name, ok = m["opt_name"].(string); !ok || !given || !oneLine(o.Name, 64) {
		return o, false
	}
	for key := range m {
		if key != "opt_name" && key != "opt_value" && key != "ip_version" {
			return o, false
		}
	}
	if text, isText := value.(string); isText {
		if utf8.RuneCountInString(text) > 255 || !topology.BlankDHCPOption(o.Name) && !oneLine(text, 255) {
			return o, false
		}
		o.Value = &text
	} else if value != nil {
		return o, false
	}
	o.IPVersion = 4
	if version, given := m["ip_version"]; given {
		n, err := readNumber("", version)
		if err != nil || n != 4 && n != 6 {
			return o, false
		}
		o.IPVersion = n.(int)
	}
	return o, true
}

// oneLine says that the text is not blank and has one line.
func oneLine(s string, limit int) bool {
	return utf8.RuneCountInString(s) <= limit && strings.TrimSpace(s) != "" && !strings.ContainsAny(strings.TrimRight(s, "\r\n"), "\r\n")
}

// plain is a value of JSON without json.Number, to keep and send on.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}
