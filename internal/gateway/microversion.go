package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// Microversion is an API version such as 2.93.
type Microversion struct{ Major, Minor int }

func (v Microversion) String() string { return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor) }

// AtLeast reports whether v is major.minor or later.
func (v Microversion) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// Less orders versions.
func (v Microversion) Less(o Microversion) bool { return !v.AtLeast(o.Major, o.Minor) }

// ParseMicroversion reads "2.93".
func ParseMicroversion(s string) (Microversion, bool) {
	major, minor, ok := strings.Cut(strings.TrimSpace(s), ".")
	if !ok {
		return Microversion{}, false
	}
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return Microversion{a, b}, err1 == nil && err2 == nil && a >= 0 && b >= 0
}

// Window is the range of versions that a service offers.
type Window struct{ Min, Max Microversion }

// Negotiate reads the version that the client asks for: OpenStack-API-Version
// with the service's type first, then the legacy header if the service has one.
// Without a header it is Min. A version outside is fault.NotAcceptable.
func (w Window) Negotiate(h http.Header, serviceType, legacy string) (Microversion, error) {
	asked := askedVersion(h, serviceType, legacy)
	switch asked {
	case "":
		return w.Min, nil
	case "latest":
		return w.Max, nil
	}
	v, ok := ParseMicroversion(asked)
	if !ok {
		return Microversion{}, fault.New(fault.Invalid, "",
			"API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", asked)
	}
	if v.Less(w.Min) || w.Max.Less(v) {
		return v, fault.New(fault.NotAcceptable, "",
			"Version %s is not supported by the API. Minimum is %s and maximum is %s.", v, w.Min, w.Max)
	}
	return v, nil
}

func askedVersion(h http.Header, serviceType, legacy string) string {
	for _, line := range h.Values("Openstack-Api-Version") {
		for part := range strings.SplitSeq(line, ",") {
			if fields := strings.Fields(part); len(fields) == 2 && fields[0] == serviceType {
				return fields[1]
			}
		}
	}
	if legacy == "" {
		return ""
	}
	return strings.TrimSpace(h.Get(legacy))
}
