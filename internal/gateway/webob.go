package gateway

import (
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// webobError is a page as Python's webob writes it, which is behind Nova, Cinder
// and Glance: HTML, JSON or plain text, as the client takes it.
func webobError(r *http.Request, status int, message string) (int, http.Header, []byte) {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	kind, body := "text/plain; charset=UTF-8", title+"\n\n"+message+"\n\n   "
	accept := strings.Join(r.Header.Values("Accept"), ",")
	asHTML, asJSON := quality(accept, "text", "html"), quality(accept, "application", "json")
	end := "<br /><br />\n\n\n"
	if status == http.StatusMethodNotAllowed { // the page that webob has for it
		end = " <br /><br />\n"
	}
	switch {
	case asHTML > 0 && asHTML >= asJSON:
		kind = "text/html; charset=UTF-8"
		body = fmt.Sprintf("<html>\n <head>\n  <title>%s</title>\n </head>\n <body>\n  <h1>%s</h1>\n  %s\n </body>\n</html>", title, title, html.EscapeString(message)+end)
	case asJSON > 0:
		return jsonError(status, map[string]string{"message": message + end, "code": title, "title": http.StatusText(status)})
	}
	return status, http.Header{"Content-Type": {kind}}, []byte(body)
}

// quality is how much an Accept header wants a type, from 0 to 1. The most exact
// range that fits counts.
func quality(accept, kind, of string) float64 {
	best, exact := 0.0, -1
	for entry := range strings.SplitSeq(accept, ",") {
		rank := -1
		parts := strings.Split(entry, ";")
		switch strings.ToLower(strings.TrimSpace(parts[0])) {
		case kind + "/" + of:
			rank = 2
		case kind + "/*":
			rank = 1
		case "*/*":
			rank = 0
		}
		if rank <= exact {
			continue
		}
		best, exact = 1, rank
		for _, parameter := range parts[1:] {
			if q, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
				best, _ = strconv.ParseFloat(q, 64) // not a number: not wanted
			}
		}
	}
	return best
}
