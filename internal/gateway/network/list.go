package network

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// Query parameters that are no filters.
var listParameters = []string{"fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"}

// readQuery turns a list's query string into the store's query and the fields
// that the client wants.
func readQuery(by identity.Caller, attributes []attribute, rawQuery string) (q store.Query, fields []string, err error) {
	params, err := url.ParseQuery(rawQuery)
	if err != nil {
		return q, nil, badRequest("The query string is malformed")
	}
	q.ProjectID, q.Asker = scopeOf(by), by.ProjectID
	if q.Filters, err = readFilters(attributes, params, rawQuery); err != nil {
		return q, nil, err
	}
	if q.Sort, err = readSort(attributes, params); err != nil {
		return q, nil, err
	}
	if q.Limit, err = readLimit(params); err != nil {
		return q, nil, err
	}
	if q.Limit > 0 { // without a limit there are no pages
		q.Marker = params.Get("marker")
		q.PageReverse = strings.EqualFold(params.Get("page_reverse"), "true")
	}
	return q, readFields(params), nil
}

// trusted callers are admins and, by the rule of the name, services that work for
// all projects.
func trusted(by identity.Caller) bool {
	ok, err := by.May("context_is_advsvc", nil)
	return ok && err == nil
}

// scopeOf is whose things the caller may list; empty is everybody's.
func scopeOf(by identity.Caller) string {
	if trusted(by) {
		return ""
	}
	// The gateway lets nobody in without a project; and if it did, he would have
	// nothing rather than everything.
	return cmp.Or(by.ProjectID, "none")
}

func readFields(params url.Values) []string {
	return slices.DeleteFunc(slices.Clone(params["fields"]), func(f string) bool { return f == "" })
}

func readFilters(attributes []attribute, params url.Values, rawQuery string) (map[string][]string, error) {
	filters := map[string][]string{}
	var unknown []string
	for _, name := range namesIn(params, rawQuery) {
		if slices.Contains(listParameters, name) {
			continue
		}
		own := name
		if name == "tenant_id" {
			own = "project_id"
		}
		i := slices.IndexFunc(attributes, func(a attribute) bool { return a.name == own && a.filter != nil })
		if i < 0 {
			unknown = append(unknown, "'"+name+"'")
			continue
		}
		if err := addFilter(filters, attributes[i], params[name]); err != nil {
			return nil, err
		}
	}
	if unknown != nil {
		return nil, badRequest("[%s] is invalid attribute for filtering", strings.Join(unknown, ", "))
	}
	return filters, nil
}

func addFilter(filters map[string][]string, a attribute, given []string) error {
	if a.name == "fixed_ips" {
		return addAddressFilter(filters, given)
	}
	for _, v := range given {
		value, err := a.filter(v)
		if err != nil {
			return err
		}
		filters[a.name] = append(filters[a.name], value)
	}
	return nil
}

// addAddressFilter reads fixed_ips=ip_address=10.0.0.1.
func addAddressFilter(filters map[string][]string, given []string) error {
	for _, v := range given {
		key, value, ok := strings.Cut(v, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" {
			return invalidInput("'%s' is not of the form <key>=[value]", v)
		}
		switch key {
		case "ip_address":
			value, _ = filterIP(value)
		case "subnet_id", "ip_address_substr":
		default:
			continue // as Neutron does
		}
		filters["fixed_ips."+key] = append(filters["fixed_ips."+key], value)
	}
	return nil
}

func readSort(attributes []attribute, params url.Values) ([]store.SortKey, error) {
	keys, dirs := params["sort_key"], params["sort_dir"]
	if len(keys) != len(dirs) {
		return nil, badRequest("The number of sort_keys and sort_dirs must be same")
	}
	var sort []store.SortKey
	var badKeys, badDirs []string
	for i, name := range keys {
		if name == "tenant_id" {
			name = "project_id"
		}
		if !slices.ContainsFunc(attributes, func(a attribute) bool { return a.name == name && a.sort }) {
			badKeys = append(badKeys, "'"+keys[i]+"'")
		}
		if dirs[i] != "asc" && dirs[i] != "desc" {
			badDirs = append(badDirs, "'"+dirs[i]+"'")
		}
		sort = append(sort, store.SortKey{Name: name, Desc: dirs[i] == "desc"})
	}
	if badKeys != nil {
		return nil, badRequest("[%s] is invalid attribute for sort_keys", strings.Join(badKeys, ", "))
	}
	if badDirs != nil {
		return nil, badRequest("[%s] is invalid value for sort_dirs, valid value is 'asc' and 'desc'", strings.Join(badDirs, ", "))
	}
	return sort, nil
}

func readLimit(params url.Values) (int, error) {
	text := params.Get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, badResource("limit", "Limit must be an integer 0 or greater and not '%s'", text)
	}
	return n, nil
}

// pageLinks are the links to the pages next to this one; first and last are the
// IDs at its ends.
func pageLinks(r *gateway.Request, q store.Query, n int, first, last string) []map[string]string {
	base := r.HostURL() + r.URL.EscapedPath()
	var links []map[string]string
	add := func(rel, marker string, reverse bool) {
		params := kept(r.URL.RawQuery)
		if marker != "" {
			params = append(params, "marker="+url.QueryEscape(marker))
		}
		if reverse {
			params = append(params, "page_reverse=True")
		}
		links = append(links, map[string]string{"rel": rel, "href": base + "?" + strings.Join(params, "&")})
	}
	if n >= q.Limit || q.PageReverse {
		add("next", last, false)
	}
	if n >= q.Limit || !q.PageReverse {
		add("previous", first, true)
	}
	return links
}

// kept are the parameters that stay the same from page to page, in order.
func kept(query string) []string {
	var params []string
	for p := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(p, "=")
		if p != "" && name != "marker" && name != "page_reverse" {
			params = append(params, requoted(name)+"="+requoted(value))
		}
	}
	return params
}

func requoted(part string) string {
	plain, err := url.QueryUnescape(part)
	if err != nil {
		return part
	}
	return url.QueryEscape(plain)
}

// namesIn are the parameters' names in the order in which the client wrote them.
func namesIn(params url.Values, rawQuery string) []string {
	names := slices.Sorted(maps.Keys(params))
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(strings.Index("&"+rawQuery, "&"+url.QueryEscape(a)), strings.Index("&"+rawQuery, "&"+url.QueryEscape(b)))
	})
	return names
}
