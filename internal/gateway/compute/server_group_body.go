package compute

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/store"
)

// parseServerGroup reads the body of POST /os-server-groups: "policies" with one
// policy in it, or from 2.64 on "policy", and "rules".
func parseServerGroup(body []byte, v gateway.Microversion) (g store.ServerGroup, err error) {
	if len(body) > 0 && !gjson.ValidBytes(body) {
		return g, fault.New(fault.Invalid, "", "Malformed request body")
	}
	document := gjson.ParseBytes(body)
	if err := checkObject("", document, []string{"server_group"}); err != nil {
		return g, err
	}
	in := document.Get("server_group")
	policy, optional := "policies", []string(nil)
	if v.AtLeast(2, 64) {
		policy, optional = "policy", []string{"rules"}
	}
	if err := checkObject("server_group", in, []string{"name", policy}, optional...); err != nil {
		return g, err
	}
	if g.Name, err = nameOf(in.Get("name")); err != nil {
		return g, err
	}
	if !v.AtLeast(2, 64) {
		g.Policy, err = onlyPolicy(in.Get("policies"), v)
		return g, err
	}
	if g.Policy, err = policyOf("policy", in.Get("policy"), v); err != nil {
		return g, err
	}
	g.MaxPerHost, err = groupRules(in.Get("rules"), g.Policy)
	return g, err
}

// nameOf reads a name by the rules that most of Nova's names obey.
func nameOf(v gjson.Result) (string, error) {
	switch n := utf8.RuneCountInString(v.Str); {
	case v.Type != gjson.String:
		return "", unfit("name", v, "is not of type 'string'")
	case n == 0:
		return "", unfit("name", v, "is too short")
	case n > 255:
		return "", unfit("name", v, "is too long")
	}
	if strings.TrimSpace(v.Str) != v.Str || strings.ContainsFunc(v.Str, func(c rune) bool { return !unicode.IsPrint(c) && !unicode.Is(unicode.Zs, c) }) {
		return "", fault.New(fault.Invalid, "", "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.")
	}
	return v.Str, nil
}

func onlyPolicy(v gjson.Result, version gateway.Microversion) (string, error) {
	if !v.IsArray() {
		return "", unfit("policies", v, "is not of type 'array'")
	}
	list := v.Array()
	switch {
	case len(list) == 0:
		return "", unfit("policies", v, "is too short")
	case len(list) == 2 && list[0].Raw == list[1].Raw:
		return "", unfit("policies", v, "has non-unique elements")
	case len(list) > 1:
		return "", unfit("policies", v, "is too long")
	}
	return policyOf("0", list[0], version)
}

func policyOf(field string, v gjson.Result, version gateway.Microversion) (string, error) {
	policies := []string{"anti-affinity", "affinity"}
	if version.AtLeast(2, 15) {
		policies = append(policies, "soft-anti-affinity", "soft-affinity")
	}
	var quoted []string
	for _, known := range policies {
		if v.Type == gjson.String && v.Str == known {
			return known, nil
		}
		quoted = append(quoted, gateway.Quoted(known))
	}
	return "", unfit(field, v, "is not one of ["+strings.Join(quoted, ", ")+"]")
}

// groupRules reads "rules", which know one number.
func groupRules(v gjson.Result, policy string) (int, error) {
	if !v.Exists() {
		return 0, nil
	}
	if err := checkObject("rules", v, nil, "max_server_per_host"); err != nil {
		return 0, err
	}
	rule := v.Get("max_server_per_host")
	if !rule.Exists() {
		return 0, nil
	}
	most, err := positive("max_server_per_host", rule)
	if err == nil && policy != "anti-affinity" {
		err = fault.New(fault.Invalid, "", "Only anti-affinity policy supports rules.")
	}
	return most, err
}

// positive reads an integer from 1 on, which Nova also takes as a string.
func positive(field string, v gjson.Result) (int, error) {
	text := v.Raw
	switch v.Type {
	case gjson.String:
		text = v.Str
	case gjson.Number:
	default:
		return 0, unfit(field, v, "is not of type 'integer', 'string'")
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil && v.Type == gjson.Number:
		return 0, unfit(field, v, "is not of type 'integer', 'string'")
	case err != nil || n < 0:
		return 0, unfit(field, v, "does not match '^[0-9]*$'")
	case n < 1:
		return 0, unfit(field, v, "is less than the minimum of 1")
	}
	return n, nil
}
