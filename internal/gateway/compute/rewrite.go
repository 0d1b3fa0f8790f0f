package compute

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/reconcile"
)

// markKey is the metadata key that tells our servers in a pod. It is ours, so
// no reply shows it and no request may set it.
const markKey = reconcile.MarkKey

// view is how a pod's replies must read here: our links, our zone names.
type view struct {
	base    string // our root, such as http://host/compute
	project string // of the request's URL; Nova's links repeat it
	// zone, host and group are the region's names for a zone and a host of the pod,
	// and its ID for a server group; number its number for one of the pod's.
	zone, host, group func(string) string
	number            func(int64) int64
}

// edit replaces body[start:end].
type edit struct {
	start, end int
	with       string
}

// splice applies the edits, which must not overlap.
func splice(body []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return body
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	size := len(body)
	for _, e := range edits {
		size += len(e.with) - (e.end - e.start)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		out = append(out, body[at:e.start]...)
		out = append(out, e.with...)
		at = e.end
	}
	return append(out, body[at:]...)
}

// server rewrites one server object as it stands in a list. Only the bytes that must change are touched; the rest is copied
// unread, because this is the path of every poll of every client.
func (v view) server(item []byte) []byte {
	if !gjson.ValidBytes(item) {
		return item
	}
	return splice(item, v.serverEdits(nil, gjson.ParseBytes(item)))
}

// document rewrites a reply with one "server" in it; nil if it is no JSON.
func (v view) document(body []byte) []byte {
	if !gjson.ValidBytes(body) {
		return nil
	}
	var edits []edit
	gjson.ParseBytes(body).ForEach(func(k, value gjson.Result) bool {
		if k.Str == "server" && value.IsObject() {
			edits = v.serverEdits(edits, value)
		}
		return true
	})
	return splice(body, edits)
}

// serverEdits collects the edits of a server. Every Index that gjson gives within
// one parsed document counts from the start of that document.
func (v view) serverEdits(edits []edit, server gjson.Result) []edit {
	server.ForEach(func(k, value gjson.Result) bool {
		at := value.Index
		switch k.Str {
		case "links":
			edits = v.linkEdits(edits, value)
		case "image", "flavor":
			value.ForEach(func(k, links gjson.Result) bool {
				if k.Str == "links" {
					edits = v.linkEdits(edits, links)
				}
				return true
			})
		case "OS-EXT-AZ:availability_zone":
			// Empty until the pod has scheduled the server.
			edits = renamed(edits, value, v.zone)
		case "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname": // admins only
			edits = renamed(edits, value, v.host)
		case "server_groups":
			value.ForEach(func(_, id gjson.Result) bool {
				edits = renamed(edits, id, v.group)
				return true
			})
		case "metadata":
			if strings.Contains(value.Raw, `"`+markKey+`"`) {
				edits = append(edits, edit{at, at + len(value.Raw), withoutMark(value)})
			}
		}
		return true
	})
	return edits
}

// renamed replaces a name. Null and empty stay: no host yet, no zone yet.
func renamed(edits []edit, value gjson.Result, name func(string) string) []edit {
	if value.Type != gjson.String || value.Str == "" {
		return edits
	}
	ours := name(value.Str)
	if ours == value.Str {
		return edits
	}
	return append(edits, edit{value.Index, value.Index + len(value.Raw), quote(ours)})
}

// links rewrites every link of a body that is no server, such as flavors; nil if
// it is no JSON.
func (v view) links(body []byte) []byte {
	if !gjson.ValidBytes(body) {
		return nil
	}
	var edits []edit
	var walk func(value gjson.Result)
	walk = func(value gjson.Result) {
		value.ForEach(func(k, child gjson.Result) bool {
			switch {
			case k.Str == "links" && child.IsArray():
				edits = v.linkEdits(edits, child)
			case child.IsObject() || child.IsArray():
				walk(child)
			}
			return true
		})
	}
	walk(gjson.ParseBytes(body))
	return splice(body, edits)
}

func (v view) linkEdits(edits []edit, links gjson.Result) []edit {
	links.ForEach(func(_, link gjson.Result) bool {
		rel := link.Get("rel").Str
		link.ForEach(func(k, href gjson.Result) bool {
			if k.Str == "href" && href.Type == gjson.String {
				at := href.Index
				edits = append(edits, edit{at, at + len(href.Raw), quote(v.href(rel, href.Str))})
			}
			return true
		})
		return true
	})
	return edits
}

// linkRoots are the collections that Nova links to.
var linkRoots = []string{"/servers/", "/flavors/", "/images/"}

// href is our form of a pod's link. Self links carry the version, bookmarks do
// not; whatever names no collection we know stays as it is.
func (v view) href(rel, href string) string {
	at := -1
	for _, root := range linkRoots {
		at = max(at, strings.LastIndex(href, root))
	}
	if at < 0 {
		return href
	}
	return v.root(rel) + href[at:]
}

func (v view) root(rel string) string {
	root := v.base
	if rel != "bookmark" {
		root += "/v2.1"
	}
	if v.project != "" {
		root += "/" + v.project
	}
	return root
}

// withoutMark is a metadata object less our key.
func withoutMark(metadata gjson.Result) string {
	var b strings.Builder
	b.WriteByte('{')
	metadata.ForEach(func(k, value gjson.Result) bool {
		if k.Str == markKey {
			return true
		}
		if b.Len() > 1 {
			b.WriteString(", ")
		}
		b.WriteString(k.Raw)
		b.WriteString(": ")
		b.WriteString(value.Raw)
		return true
	})
	b.WriteByte('}')
	return b.String()
}

func quote(s string) string { return string(gateway.Quote(s)) }
