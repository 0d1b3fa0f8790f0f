package gateway

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// Links turns a pod's addresses into ours: in the "href" of link objects and in
// Location headers. All else in a body stays as the pod wrote it, byte for byte.
type Links struct {
	from    string // the pod's service, without version: "http://10.0.0.1:8774"
	to      string // ours: "https://cloud.example.org/compute"
	version string // "/v2.1"
	project string // goes into the path, where the client's own path had it
}

// LinksOf are the links of a pod's answer to a request for asked, a path below
// the service's version root.
func LinksOf(r *Request, resp *http.Response, asked string) Links {
	return LinksFrom(r, resp.Request.URL, asked)
}

// LinksFrom is LinksOf for the address that was asked.
func LinksFrom(r *Request, u *url.URL, asked string) Links {
	path := u.EscapedPath()
	if below, ok := strings.CutPrefix(asked, "//"); ok {
		path = strings.TrimSuffix(path, "/"+below)
	} else {
		path = strings.TrimSuffix(path, asked)
		// Up to and without the version; Block Storage has the project after it.
		if i := strings.LastIndex(path+"/", r.Service.Version+"/"); i >= 0 && r.Service.Version != "" {
			path = path[:i]
		}
	}
	return Links{
		from: u.Scheme + "://" + u.Host + strings.TrimSuffix(path, "/"), to: r.PrefixURL(),
		version: r.Service.Version, project: r.URLProject(),
	}
}

// URL is ours for one of the pod's; other addresses stay.
func (l Links) URL(href string) string {
	rest, ok := strings.CutPrefix(href, l.from)
	if !ok || rest != "" && rest[0] != '/' && rest[0] != '?' {
		return href
	}
	if l.project == "" || strings.HasPrefix(rest+"/", l.version+"/"+l.project+"/") || strings.HasPrefix(rest, "/"+l.project+"/") {
		return l.to + rest
	}
	if below, ok := strings.CutPrefix(rest, l.version+"/"); ok {
		return l.to + l.version + "/" + l.project + "/" + below
	}
	return l.to + "/" + l.project + rest // a bookmark: no version
}

// Append appends the body to dst with its links rewritten.
func (l Links) Append(dst, body []byte) []byte {
	needle := []byte(`"` + l.from)
	for {
		i := bytes.Index(body, needle)
		if i < 0 {
			return append(dst, body...)
		}
		end := bytes.IndexByte(body[i+1:], '"')
		if end < 0 || !isLink(body[:i]) {
			dst = append(dst, body[:i+len(needle)]...)
			body = body[i+len(needle):]
			continue
		}
		href := body[i+1 : i+1+end]
		dst = append(dst, body[:i+1]...)
		dst = append(dst, l.URL(string(href))...)
		body = body[i+1+end:]
	}
}

// isLink reports whether what follows before is the value of "href" in an object
// that is an element of an array. A user's metadata may have the key "href" too,
// but its object is a member's value.
func isLink(before []byte) bool {
	rest, ok := bytes.CutSuffix(trimSpace(before), []byte(":"))
	if !ok {
		return false
	}
	rest, ok = bytes.CutSuffix(trimSpace(rest), []byte(`"href"`))
	if !ok {
		return false
	}
	for {
		rest = trimSpace(rest)
		if len(rest) == 0 {
			return false
		}
		switch rest[len(rest)-1] {
		case '{':
			rest = trimSpace(rest[:len(rest)-1])
			return len(rest) > 0 && (rest[len(rest)-1] == '[' || rest[len(rest)-1] == ',')
		case ',': // a member of strings before it: "rel": "self"
			if rest, ok = cutMember(rest[:len(rest)-1]); !ok {
				return false
			}
		default:
			return false
		}
	}
}

// cutMember removes `"name": "value"` from the end.
func cutMember(b []byte) ([]byte, bool) {
	b, ok := cutString(b)
	if !ok {
		return nil, false
	}
	b, ok = bytes.CutSuffix(trimSpace(b), []byte(":"))
	if !ok {
		return nil, false
	}
	return cutString(b)
}

func cutString(b []byte) ([]byte, bool) {
	b, ok := bytes.CutSuffix(trimSpace(b), []byte(`"`))
	if !ok {
		return nil, false
	}
	i := bytes.LastIndexByte(b, '"')
	if i < 0 || i > 0 && b[i-1] == '\\' {
		return nil, false // no link has an escaped quote
	}
	return b[:i], true
}

func trimSpace(b []byte) []byte { return bytes.TrimRight(b, " \t\r\n") }
