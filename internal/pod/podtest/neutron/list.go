package neutron

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// paging holds the query parameters that are no filters.
var paging = []string{"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"}

func (res *resource) list(r *rest.Request) (*rest.Reply, error) {
	if res.before != nil {
		res.before(r)
	}
	q := r.URL.Query()
	if err := res.checkFilters(q); err != nil {
		return nil, err
	}
	keys, err := res.order(q)
	if err != nil {
		return nil, err
	}
	found := []rest.Doc{}
	for _, d := range res.store.All() {
		if !res.visible(r.Caller, d) {
			continue
		}
		view := res.view(r.Caller, d)
		if ok, err := matches(view, q); err != nil {
			return nil, err
		} else if ok {
			found = append(found, view)
		}
	}
	rest.Sort(found, keys)
	page, links, err := res.page(r, found, q)
	if err != nil {
		return nil, err
	}
	for i := range page {
		page[i] = only(page[i], q["fields"])
	}
	body := rest.Doc{res.plural: page}
	if links != nil {
		body[res.plural+"_links"] = links
	}
	return rest.OK(body)
}

func (res *resource) checkFilters(q url.Values) error {
	bad := []string{}
	for name := range q {
		if slices.Contains(paging, name) || name == "tags-any" || name == "not-tags" || name == "not-tags-any" {
			continue
		}
		if _, ok := res.attrs[name]; !ok {
			bad = append(bad, "'"+name+"'")
		}
	}
	if len(bad) > 0 {
		sort.Strings(bad)
		return badRequest("[%s] is invalid attribute for filtering", strings.Join(bad, ", "))
	}
	_, err := matchesAddress(rest.Doc{}, q["fixed_ips"])
	return err
}

// order reads sort_key and sort_dir; the ID is always the last key.
func (res *resource) order(q url.Values) ([]rest.SortKey, error) {
	keys, dirs := q["sort_key"], q["sort_dir"]
	if len(keys) != len(dirs) {
		return nil, badRequest("The number of sort_keys and sort_dirs must be same")
	}
	out := []rest.SortKey{}
	for i, k := range keys {
		if _, ok := res.attrs[k]; !ok {
			return nil, badRequest("['%s'] is invalid attribute for sort_keys", k)
		}
		if dirs[i] != "asc" && dirs[i] != "desc" {
			return nil, badRequest("['%s'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'", dirs[i])
		}
		out = append(out, rest.SortKey{Name: k, Desc: dirs[i] == "desc"})
	}
	return append(out, rest.SortKey{Name: "id"}), nil
}

// matches holds a document against the filters: values of one name are
// alternatives.
func matches(d rest.Doc, q url.Values) (bool, error) {
	for name, wants := range q {
		if slices.Contains(paging, name) {
			continue
		}
		if name == "fixed_ips" {
			ok, err := matchesAddress(d, wants)
			if !ok || err != nil {
				return false, err
			}
			continue
		}
		if !slices.ContainsFunc(wants, func(w string) bool { return holds(d[name], w) }) {
			return false, nil
		}
	}
	return true, nil
}

func holds(v any, want string) bool {
	switch list := v.(type) {
	case []string:
		return slices.Contains(list, want)
	case []any:
		return slices.ContainsFunc(list, func(x any) bool { return rest.Text(x) == want })
	}
	return rest.Matches(v, want)
}

// matchesAddress reads fixed_ips=ip_address=…, subnet_id=…, ip_address_substr=….
// Alternatives of one key are OR, different keys AND, as in Neutron.
func matchesAddress(d rest.Doc, wants []string) (bool, error) {
	byKey := map[string][]string{}
	for _, w := range wants {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return false, invalid("'%s' is not of the form <key>=[value].", w)
		}
		byKey[key] = append(byKey[key], value)
	}
	for key, values := range byKey {
		hit := slices.ContainsFunc(rest.Docs(d, "fixed_ips"), func(ip rest.Doc) bool {
			return slices.ContainsFunc(values, func(v string) bool {
				if key == "ip_address_substr" {
					return strings.Contains(rest.Str(ip, "ip_address"), v)
				}
				return ip[key] == v
			})
		})
		if !hit {
			return false, nil
		}
	}
	return true, nil
}

// page cuts a page out of an ordered list.
func (res *resource) page(r *rest.Request, docs []rest.Doc, q url.Values) ([]rest.Doc, []rest.Doc, error) {
	limit := 0
	if text := r.Query("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, nil, rest.Errorf(http.StatusBadRequest, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not '%s'.", text)
		}
		limit = n
	}
	reverse := strings.EqualFold(r.Query("page_reverse"), "true")
	if reverse {
		slices.Reverse(docs)
	}
	marker := r.Query("marker")
	if marker != "" && limit > 0 {
		if _, err := res.find(r.Caller, marker); err != nil {
			return nil, nil, err
		}
		at := slices.IndexFunc(docs, func(d rest.Doc) bool { return d["id"] == marker })
		docs = docs[at+1:]
	}
	if limit > 0 && len(docs) > limit {
		docs = docs[:limit]
	}
	if reverse {
		slices.Reverse(docs)
	}
	if limit == 0 || len(docs) == 0 {
		return docs, nil, nil
	}
	return docs, links(r, q, docs, len(docs) < limit, reverse), nil
}

// links are the pages before and after. Neutron does not look: it offers a
// page wherever it cannot rule one out.
func links(r *rest.Request, q url.Values, docs []rest.Doc, short, reverse bool) []rest.Doc {
	href := func(marker any, back bool) string {
		other := url.Values{}
		for k, v := range q {
			other[k] = v
		}
		other.Del("page_reverse")
		other.Set("marker", fmt.Sprint(marker))
		if back {
			other.Set("page_reverse", "True")
		}
		return r.Root() + r.URL.Path + "?" + other.Encode()
	}
	var out []rest.Doc
	if !short || reverse {
		out = append(out, rest.Doc{"rel": "next", "href": href(docs[len(docs)-1]["id"], false)})
	}
	if !short || !reverse {
		out = append(out, rest.Doc{"rel": "previous", "href": href(docs[0]["id"], true)})
	}
	return out
}

func only(d rest.Doc, fields []string) rest.Doc {
	if len(fields) == 0 {
		return d
	}
	out := rest.Doc{}
	for _, f := range fields {
		if v, ok := d[f]; ok {
			out[f] = v
		}
	}
	return out
}
