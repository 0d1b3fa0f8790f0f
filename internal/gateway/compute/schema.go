package compute

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
)

// Nova checks requests against JSON schemas and says what does not fit in
// Python's words. Where we answer ourselves, we say the same.

// unfit is the error for a field whose value does not fit. problem follows the
// value as Python shows it.
func unfit(field string, v gjson.Result, problem string) error {
	return fault.New(fault.Invalid, "", "Invalid input for field/attribute %s. Value: %s. %s %s", field, gateway.Str(v), gateway.Repr(v), problem)
}

// misfit is unfit for what is wrong about an object as a whole.
func misfit(field string, v gjson.Result, problem string) error {
	if field == "" {
		return fault.New(fault.Invalid, "", "%s", problem)
	}
	return fault.New(fault.Invalid, "", "Invalid input for field/attribute %s. Value: %s. %s", field, gateway.Str(v), problem)
}

// checkObject holds an object to the members that it must and may have. The
// document itself has no field name.
func checkObject(field string, v gjson.Result, required []string, optional ...string) error {
	if !v.IsObject() {
		if field == "" {
			return fault.New(fault.Invalid, "", "%s is not of type 'object'", gateway.Repr(v))
		}
		return unfit(field, v, "is not of type 'object'")
	}
	for _, name := range required {
		if !v.Get(gjson.Escape(name)).Exists() {
			return misfit(field, v, "'"+name+"' is a required property")
		}
	}
	var unexpected []string
	v.ForEach(func(k, _ gjson.Result) bool {
		if !slices.Contains(required, k.Str) && !slices.Contains(optional, k.Str) {
			unexpected = append(unexpected, gateway.Quoted(k.Str))
		}
		return true
	})
	if len(unexpected) == 0 {
		return nil
	}
	return misfit(field, v, unexpectedProperties(unexpected))
}

func unexpectedProperties(quoted []string) string {
	verb := "was"
	if len(quoted) > 1 {
		verb = "were"
	}
	return "Additional properties are not allowed (" + strings.Join(quoted, ", ") + " " + verb + " unexpected)"
}

// onlyParameters refuses a query with parameters that the operation does not know.
func onlyParameters(query url.Values, known ...string) error {
	var unexpected []string
	for name := range query {
		if !slices.Contains(known, name) {
			unexpected = append(unexpected, gateway.Quoted(name))
		}
	}
	if len(unexpected) == 0 {
		return nil
	}
	slices.Sort(unexpected)
	return fault.New(fault.Invalid, "", "%s", unexpectedProperties(unexpected))
}

// countOf reads a query parameter that is a number from 0 on; absent is 0. Of
// several Nova checks all and takes the first.
func countOf(query url.Values, name string) (int, error) {
	first := 0
	for i, value := range query[name] {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return 0, fault.New(fault.Invalid, "", "Invalid input for query parameters %s. Value: %s. '%s' does not match '^[0-9]*$'", name, value, value)
		}
		if i == 0 {
			first = n
		}
	}
	return first, nil
}
