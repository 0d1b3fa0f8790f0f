package pod

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// catalog is the service catalog as Keystone writes it.
type catalog []struct {
	Type      string `json:"type"`
	Endpoints []struct {
		Interface string `json:"interface"`
		Region    string `json:"region"`
		RegionID  string `json:"region_id"`
		URL       string `json:"url"`
	} `json:"endpoints"`
}

// find returns the URL of the service in the region, or "".
func (c catalog) find(service Service, region, iface string) string {
	for _, name := range service.types() {
		for _, s := range c {
			if s.Type != name {
				continue
			}
			for _, e := range s.Endpoints {
				if e.Interface == iface && (e.RegionID == region || e.RegionID == "" && e.Region == region) {
					return e.URL
				}
			}
		}
	}
	return ""
}

// types are the service types under which clouds register the service, the usual
// one first.
func (s Service) types() []string {
	if s == Volume {
		return []string{"volumev3", "block-storage", "block-store", "volume"}
	}
	return []string{string(s)}
}

// Endpoint is the service's URL in the region as the catalog has it. Without one
// it is fault.Unavailable.
func (a *Account) Endpoint(ctx context.Context, service Service, region, iface string) (string, error) {
	s, err := a.session(ctx)
	if err != nil {
		return "", err
	}
	found := s.catalog.find(service, region, iface)
	if a.lookAgain(s, found == "") {
		// A failure is no harm where the old catalog has an answer.
		if fresh, err := a.wait(ctx, a.renew(s)); err == nil {
			found = fresh.catalog.find(service, region, iface)
		}
	}
	if found == "" {
		return "", fault.New(fault.Unavailable, "",
			"the catalog has no %s endpoint for %s in region %s", iface, service, region)
	}
	return found, nil
}

// lookAgain decides whether the session's catalog may be out of date.
func (a *Account) lookAgain(s *session, missing bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != s || a.options.Now().Sub(s.since) < catalogMin {
		return false
	}
	stale := a.stale
	a.stale = false
	return stale || missing
}

// roots are the two addresses that a Request's path can be relative to.
type roots struct {
	host    string // without version: ".../compute"
	version string // with it: ".../compute/v2.1"
}

var versions = map[Service]string{Compute: "v2.1", Network: "v2.0", Volume: "v3", Image: "v2"}

var versionSegment = regexp.MustCompile(`^v[0-9]+(\.[0-9]+)?$`)

// rootsOf finds the roots in an endpoint of the catalog, which may or may not have
// a version, and after it a project.
func rootsOf(service Service, endpoint string) (roots, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return roots{}, fault.New(fault.Unavailable, "", "the catalog's %s endpoint %q is not an address", service, endpoint)
	}
	segments := strings.Split(strings.Trim(u.Path, "/"), "/")
	// The last one counts: a gateway in front of the pod may use versions of its own.
	for i, s := range slices.Backward(segments) {
		if versionSegment.MatchString(s) {
			segments = segments[:i]
			break
		}
	}
	prefix := ""
	if path := strings.Join(segments, "/"); path != "" {
		prefix = "/" + path
	}
	host := fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, prefix)
	return roots{host: host, version: host + "/" + versions[service]}, nil
}
