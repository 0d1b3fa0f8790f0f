package pod

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// hopByHop headers belong to one connection and are never passed on.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// notForwarded are set anew for every request. Expect is between the client and
// us: by now the body is being read.
var notForwarded = []string{"X-Auth-Token", "Content-Length", "Host", "Expect"}

// forwarded is a copy of the header as a pod may see it.
func forwarded(h http.Header) http.Header {
	out := make(http.Header, len(h)+4)
	for k, v := range h {
		if !slices.Contains(notForwarded, k) {
			out[k] = v[:len(v):len(v)]
		}
	}
	dropHopByHop(out)
	return out
}

func dropHopByHop(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			delete(h, textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)))
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}
