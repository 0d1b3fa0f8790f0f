// Package microversion is how OpenStack's services number the small changes of
// their APIs, and how a client and a service agree on one number.
package microversion

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// Version is an API version such as 2.93.
type Version struct{ Major, Minor int }

func (v Version) String() string { return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor) }

// AtLeast reports whether v is major.minor or later.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// Less orders versions.
func (v Version) Less(o Version) bool { return !v.AtLeast(o.Major, o.Minor) }

// IsZero reports whether v is no version.
func (v Version) IsZero() bool { return v == Version{} }

// form is that of Nova's APIVersionRequest: no leading zeros.
var form = regexp.MustCompile(`^([1-9]\d*)\.([1-9]\d*|0)$`)

// Parse reads "2.93".
func Parse(s string) (Version, bool) {
	m := form.FindStringSubmatch(s)
	if m == nil {
		return Version{}, false
	}
	major, err1 := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	return Version{major, minor}, err1 == nil && err2 == nil
}

// Window is the range of versions that a service offers.
type Window struct{ Min, Max Version }

func (w Window) String() string { return w.Min.String() + " to " + w.Max.String() }

// Has reports whether v is in the window.
func (w Window) Has(v Version) bool { return !v.Less(w.Min) && !w.Max.Less(v) }

// Negotiate reads the version that the client asks for: OpenStack-API-Version
// with the service's type first, then the legacy header if the service has one.
// Without a header it is Min. A version outside is fault.NotAcceptable, and
// returned all the same, since the answer names it.
func (w Window) Negotiate(h http.Header, serviceType, legacy string) (Version, error) {
	asked, given := Asked(h, serviceType, legacy)
	switch {
	case !given:
		return w.Min, nil
	case asked == "latest":
		return w.Max, nil
	}
	v, ok := Parse(asked)
	if !ok {
		return Version{}, fault.New(fault.Invalid, "",
			"API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", asked)
	}
	if !w.Has(v) {
		return v, fault.New(fault.NotAcceptable, "",
			"Version %s is not supported by the API. Minimum is %s and maximum is %s.", v, w.Min, w.Max)
	}
	return v, nil
}

// Asked finds what the client asks for, as the library that the services share
// (microversion_parse) does: headers that repeat are one list, and the last entry
// for the service counts. Entries of other services, and entries without a
// version, are passed over.
func Asked(h http.Header, serviceType, legacy string) (version string, given bool) {
	entries := strings.Split(strings.Join(h.Values("Openstack-Api-Version"), ","), ",")
	for i := len(entries) - 1; i >= 0; i-- {
		entry := strings.TrimSpace(entries[i])
		at := strings.IndexAny(entry, " \t")
		if at > 0 && strings.EqualFold(entry[:at], serviceType) {
			return strings.TrimSpace(entry[at:]), true
		}
	}
	lines := h.Values(legacy)
	if legacy == "" || len(lines) == 0 {
		return "", false
	}
	all := strings.Join(lines, ",")
	return strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:]), true
}
