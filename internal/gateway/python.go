package gateway

import (
	"strings"

	"github.com/tidwall/gjson"
)

// OpenStack's messages show values as Python prints them, and some clients look.

// Repr is Python's repr of a JSON value: how it stands inside of another one.
func Repr(v gjson.Result) string {
	switch {
	case v.Type == gjson.String:
		return Quoted(v.Str)
	case v.Type == gjson.True:
		return "True"
	case v.Type == gjson.False:
		return "False"
	case v.Type == gjson.Number:
		return v.Raw
	case v.IsArray(), v.IsObject():
		return reprItems(v)
	}
	return "None"
}

// Str is Python's str of it: a string stands without quotes.
func Str(v gjson.Result) string {
	if v.Type == gjson.String {
		return v.Str
	}
	return Repr(v)
}

// Quoted is Python's repr of a string.
func Quoted(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	escape := strings.NewReplacer(`\`, `\\`, quote, `\`+quote, "\n", `\n`, "\t", `\t`, "\r", `\r`)
	return quote + escape.Replace(s) + quote
}

func reprItems(v gjson.Result) string {
	var items []string
	v.ForEach(func(k, item gjson.Result) bool {
		text := Repr(item)
		if v.IsObject() {
			text = Repr(k) + ": " + text
		}
		items = append(items, text)
		return true
	})
	if v.IsObject() {
		return "{" + strings.Join(items, ", ") + "}"
	}
	return "[" + strings.Join(items, ", ") + "]"
}
