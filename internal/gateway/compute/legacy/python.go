package legacy

import (
	"strings"

	"github.com/tidwall/gjson"
)

// Nova's messages show values as Python prints them.

// repr is Python's repr of a JSON value.
func repr(v gjson.Result) string {
	switch {
	case v.Type == gjson.String:
		return quoted(v.Str)
	case v.Type == gjson.True:
		return "True"
	case v.Type == gjson.False:
		return "False"
	case v.IsArray():
		return "[" + each(v, func(_, item gjson.Result) string { return repr(item) }) + "]"
	case v.IsObject():
		return "{" + each(v, func(key, value gjson.Result) string { return repr(key) + ": " + repr(value) }) + "}"
	case v.Type == gjson.Number:
		return v.Raw
	}
	return "None"
}

// str is Python's str: a string stands without quotes.
func str(v gjson.Result) string {
	if v.Type == gjson.String {
		return v.Str
	}
	return repr(v)
}

func quoted(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	escape := strings.NewReplacer(`\`, `\\`, quote, `\`+quote, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	return quote + escape.Replace(s) + quote
}

func each(v gjson.Result, show func(key, value gjson.Result) string) string {
	var parts []string
	v.ForEach(func(key, value gjson.Result) bool {
		parts = append(parts, show(key, value))
		return true
	})
	return strings.Join(parts, ", ")
}
