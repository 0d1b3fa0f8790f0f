package legacy

import (
	"context"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// Where the region's services are.
const (
	images   = "/image/v2/images"
	volumes  = "/volume/v3/volumes"
	snaps    = "/volume/v3/snapshots"
	networks = "/network/v2.0/"
)

// below is the path of one thing of a collection.
func below(collection, id string) string { return collection + "/" + url.PathEscape(id) }

// said is a service's answer.
type said struct{ gateway.Answer }

// ok reports whether the service did as asked.
func (s said) ok() bool { return s.Status < 300 }

// get is a value in the answer.
func (s said) get(path string) gjson.Result { return gjson.GetBytes(s.Body, path) }

// ask puts a question without a body.
func (d *Doors) ask(ctx context.Context, by identity.Caller, method, path string, query url.Values) (said, error) {
	return d.do(ctx, by, gateway.Question{Method: method, Path: path, Query: query})
}

// tell puts a question with a JSON body.
func (d *Doors) tell(ctx context.Context, by identity.Caller, method, path string, body any) (said, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return said{}, err
	}
	return d.do(ctx, by, gateway.Question{Method: method, Path: path, Body: raw})
}

// do is where every question goes out. That a service or a pod behind it is away
// is nothing to translate.
func (d *Doors) do(ctx context.Context, by identity.Caller, q gateway.Question) (said, error) {
	q.Header = q.Header.Clone()
	if q.Header == nil {
		q.Header = http.Header{}
	}
	q.Header.Set("Accept", "*/*") // Glance's errors as pages, which message reads
	a, err := d.Region.Do(ctx, by, q)
	if err == nil && (a.Status >= http.StatusInternalServerError || a.Status == http.StatusUnauthorized) {
		err = said{a}.fault()
	}
	return said{a}, err
}

// all reads a list from its beginning, page after page, until it has enough of it.
func (d *Doors) all(ctx context.Context, by identity.Caller, path, field string, query url.Values, enough int) ([]gjson.Result, said, error) {
	query = cloned(query)
	var list []gjson.Result
	for {
		query.Set("limit", strconv.Itoa(min(enough-len(list), maxLimit)))
		s, err := d.ask(ctx, by, http.MethodGet, path, query)
		if err != nil || !s.ok() {
			return nil, s, err
		}
		page := s.get(field).Array()
		list = append(list, page...)
		more := s.get(field+`_links.#(rel=="next").href`).Str != "" || s.get("next").Str != ""
		if len(page) == 0 || !more || len(list) >= enough {
			return list, s, nil
		}
		query.Set("marker", page[len(page)-1].Get("id").Str)
	}
}

func cloned(query url.Values) url.Values {
	out := url.Values{}
	for name, values := range query {
		out[name] = values
	}
	return out
}

// webobText is what a page of webob says, after its headline.
var webobText = regexp.MustCompile(`(?s)</h1>\s*(.*?)<br />`)

// message is what an error says, in whichever shape the service has.
func (s said) message() string {
	if gjson.ValidBytes(s.Body) {
		for _, path := range []string{"NeutronError.message", "*.message"} {
			if text := s.get(path).Str; text != "" {
				return text
			}
		}
	}
	if found := webobText.FindSubmatch(s.Body); found != nil {
		return strings.TrimSpace(html.UnescapeString(string(found[1])))
	}
	return http.StatusText(s.Status)
}

// kind is Neutron's name for what went wrong.
func (s said) kind() string { return s.get("NeutronError.type").Str }

var kinds = map[int]fault.Kind{
	400: fault.Invalid, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound, 409: fault.Conflict,
	412: fault.PreconditionFailed, 413: fault.OverQuota, 501: fault.Refused, 503: fault.Unavailable, 504: fault.Timeout,
}

// fault is the error as it came.
func (s said) fault() error {
	kind, known := kinds[s.Status]
	switch {
	case known:
	case s.Status < http.StatusInternalServerError:
		kind = fault.Invalid
	default:
		kind = fault.Unavailable
	}
	return fault.New(kind, "", "%s", s.message())
}

// The clients of OpenStack that Nova uses each add their own to a message, and
// Nova passes that on.

// neutron is the message as python-neutronclient tells it.
func (s said) neutron() string {
	return s.message() + "\nNeutron server returns request_ids: ['" + s.Header.Get("X-Openstack-Request-Id") + "']"
}

// cinder is the message as python-cinderclient tells it.
func (s said) cinder() string {
	return s.message() + " (HTTP " + strconv.Itoa(s.Status) + ") (Request-ID: " + s.Header.Get("X-Openstack-Request-Id") + ")"
}

// glance is the message as python-glanceclient tells it.
func (s said) glance() string {
	return "HTTP " + strconv.Itoa(s.Status) + " " + http.StatusText(s.Status) + ": " + s.message()
}

// passing says in the reply which pods the answer lacks, as the service said it.
func (s said) passing(reply *gateway.Reply) *gateway.Reply {
	if missing := s.Header.Get(gateway.UnreachableHeader); missing != "" {
		reply.Without(missing)
	}
	return reply
}

// object is what JSON objects are made of here.
type object = map[string]any

func reply(status int, body object) *gateway.Reply { return gateway.JSON(status, body) }

// raw is a value as the service wrote it; absent is null.
func raw(v gjson.Result) json.RawMessage {
	if v.Raw == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(v.Raw)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// mustJSON encodes values that cannot fail to encode.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
