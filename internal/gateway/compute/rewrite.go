package compute

import (
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

// server rewrites one server object as it stands in a list. Only the bytes that must change are touched; the rest is copied
// unread, because this is the path of every poll of every client.
func (v view) server(item []byte) []byte {
	if !gjson.ValidBytes(item) {
		return item
	}
	return gateway.Splice(item, v.serverEdits(nil, gjson.ParseBytes(item)))
}

// document rewrites a reply with one "server" in it; nil if it is no JSON.
func (v view) document(body []byte) []byte {
	if !gjson.ValidBytes(body) {
		return nil
	}
	var edits []gateway.Edit
	gjson.ParseBytes(body).ForEach(func(k, value gjson.Result) bool {
		if k.Str == "server" && value.IsObject() {
			edits = v.serverEdits(edits, value)
		}
		return true
	})
	return gateway.Splice(body, edits)
}

// serverEdits collects the edits of a server. Every Index that gjson gives within
// one parsed document counts from the start of that document.
func (v view) serverEdits(edits []gateway.Edit, server gjson.Result) []gateway.Edit {
	server.ForEach(func(k, value gjson.Result) bool {
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
			edits = gateway.Renamed(edits, value, v.zone)
		case "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname": // admins only
			edits = gateway.Renamed(edits, value, v.host)
		case "server_groups":
			value.ForEach(func(_, id gjson.Result) bool {
				edits = gateway.Renamed(edits, id, v.group)
				return true
			})
		case "metadata":
			if strings.Contains(value.Raw, `"`+markKey+`"`) {
				edits = append(edits, gateway.Instead(value, gateway.WithoutMember(value, markKey)))
			}
		}
		return true
	})
	return edits
}

// links rewrites every link of a body that is no server, such as flavors; nil if
// it is no JSON.
func (v view) links(body []byte) []byte {
	if !gjson.ValidBytes(body) {
		return nil
	}
	var edits []gateway.Edit
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
	return gateway.Splice(body, edits)
}

func (v view) linkEdits(edits []gateway.Edit, links gjson.Result) []gateway.Edit {
	links.ForEach(func(_, link gjson.Result) bool {
		rel := link.Get("rel").Str
		link.ForEach(func(k, href gjson.Result) bool {
			if k.Str == "href" && href.Type == gjson.String {
				edits = append(edits, gateway.Instead(href, quote(v.href(rel, href.Str))))
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

func quote(s string) string { return string(gateway.Quote(s)) }
