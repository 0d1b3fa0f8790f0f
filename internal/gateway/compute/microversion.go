package compute

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// The two headers that name a microversion; Nova reads and writes both.
const (
	versionHeader       = "OpenStack-API-Version"
	legacyVersionHeader = "X-OpenStack-Nova-API-Version"
)

// version is a Nova API microversion.
type version struct{ major, minor int }

// minVersion is what Nova assumes when a request names none.
var minVersion = version{2, 1}

func (v version) String() string {
	return strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor)
}

func (v version) less(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

// since reports whether the version has what came with 2.minor.
func (v version) since(minor int) bool { return !v.less(version{2, minor}) }

// parseVersion reads "2.93"; a leading zero is malformed, as in Nova.
func parseVersion(s string) (version, bool) {
	major, minor, ok := strings.Cut(s, ".")
	a, okA := versionNumber(major)
	b, okB := versionNumber(minor)
	if !ok || !okA || !okB || a == 0 {
		return version{}, false
	}
	return version{a, b}, true
}

func versionNumber(s string) (int, bool) {
	if s == "" || len(s) > 6 || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// requestedVersion finds the microversion that the headers ask for: the last
// entry for "compute" of the common header, else the old header. Empty if
// neither names one.
func requestedVersion(h http.Header) string {
	entries := strings.Split(strings.Join(h.Values(versionHeader), ","), ",")
	for i := len(entries) - 1; i >= 0; i-- {
		fields := strings.Fields(entries[i])
		if len(fields) >= 2 && strings.EqualFold(fields[0], "compute") {
			return strings.Join(fields[1:], " ")
		}
	}
	legacy := strings.Split(strings.Join(h.Values(legacyVersionHeader), ","), ",")
	return strings.TrimSpace(legacy[len(legacy)-1])
}

// resolveVersion turns the headers of a request into the version to speak,
// given the highest that all pods speak.
func resolveVersion(h http.Header, highest version) (version, error) {
	asked := requestedVersion(h)
	switch asked {
	case "":
		return minVersion, nil
	case "latest":
		return highest, nil
	}
	v, ok := parseVersion(asked)
	if !ok {
		return version{}, fault.New(fault.Invalid, "",
			"API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", asked)
	}
	if v.less(minVersion) || highest.less(v) {
		return v, fault.New(fault.NotAcceptable, "",
			"Version %s is not supported by the API. Minimum is %s and maximum is %s.", v, minVersion, highest)
	}
	return v, nil
}

// setVersionHeaders writes what Nova writes on every reply.
func setVersionHeaders(h http.Header, v version) {
	h.Set(versionHeader, "compute "+v.String())
	h.Set(legacyVersionHeader, v.String())
	h["Vary"] = append(h["Vary"], versionHeader, legacyVersionHeader)
}
