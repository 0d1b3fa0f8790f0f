package glance

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Limits of a page, as Glance has them by default.
const (
	pageDefault = 25
	pageMost    = 1000
)

var sortKeys = []string{"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"}

func (s *Server) list(r *rest.Request) (*rest.Reply, error) {
	q := r.URL.Query()
	limit, err := readLimit(q)
	if err != nil {
		return nil, err
	}
	keys, err := order(q)
	if err != nil {
		return nil, err
	}
	found := []rest.Doc{}
	for _, i := range s.images {
		if i.listed(r.Caller, q) && i.matches(q) {
			found = append(found, i.view())
		}
	}
	rest.Sort(found, keys)
	if marker := q.Get("marker"); marker != "" {
		if !slices.ContainsFunc(s.images, func(i *image) bool { return i.id() == marker && i.sees(r.Caller) }) {
			return nil, badRequest("No image found with ID %s", marker)
		}
		at := slices.IndexFunc(found, func(d rest.Doc) bool { return d["id"] == marker })
		found = found[at+1:]
	}
	out := rest.Doc{"schema": "/v2/schemas/images", "first": link(q, "")}
	if limit > 0 && len(found) >= limit {
		found = found[:limit]
		out["next"] = link(q, rest.Str(found[limit-1], "id"))
	}
	if limit == 0 {
		found = found[:0]
	}
	out["images"] = found
	return rest.OK(out)
}

func link(q url.Values, marker string) string { return linkTo("/v2/images", q, marker) }

func linkTo(path string, q url.Values, marker string) string {
	other := url.Values{}
	for k, v := range q {
		if k != "marker" {
			other[k] = v
		}
	}
	if marker != "" {
		other.Set("marker", marker)
	}
	if len(other) == 0 {
		return path
	}
	return path + "?" + other.Encode()
}

func readLimit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return pageDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, badRequest("limit param must be an integer")
	}
	if n < 0 {
		return 0, badRequest("limit param must be positive")
	}
	return min(n, pageMost), nil
}

// order is by default the newest first. Both ways of asking are read: sort_key
// with sort_dir, and sort=name:asc,size.
func order(q url.Values) ([]rest.SortKey, error) {
	names, dirs := q["sort_key"], q["sort_dir"]
	if text := q.Get("sort"); text != "" {
		for _, part := range strings.Split(text, ",") {
			name, dir, _ := strings.Cut(part, ":")
			if dir == "" {
				dir = "desc"
			}
			names, dirs = append(names, strings.TrimSpace(name)), append(dirs, dir)
		}
	}
	keys := []rest.SortKey{}
	for n, name := range names {
		if !slices.Contains(sortKeys, name) {
			return nil, badRequest("Invalid sort key: %s. It must be one of the following: %s.", name, strings.Join(sortKeys, ", "))
		}
		dir := "desc"
		if n < len(dirs) {
			dir = dirs[n]
		} else if len(dirs) == 1 {
			dir = dirs[0]
		}
		if dir != "asc" && dir != "desc" {
			return nil, badRequest("Invalid sort direction: %s", dir)
		}
		keys = append(keys, rest.SortKey{Name: name, Desc: dir == "desc"})
	}
	for _, name := range []string{"created_at", "id"} {
		if !slices.ContainsFunc(keys, func(k rest.SortKey) bool { return k.Name == name }) {
			keys = append(keys, rest.SortKey{Name: name, Desc: true})
		}
	}
	return keys, nil
}

// listed leaves out what the caller sees only when asking for it: hidden
// images, community images, offers not accepted.
func (i *image) listed(c rest.Caller, q url.Values) bool {
	if !i.sees(c) || rest.Bool(i.doc, "os_hidden") != (q.Get("os_hidden") == "true") {
		return false
	}
	visibility := q.Get("visibility")
	if visibility == "all" || i.doc["owner"] == c.ProjectID || i.doc["visibility"] == "public" {
		return true
	}
	switch i.doc["visibility"] {
	case "community":
		return visibility == "community"
	case "shared":
		if m := i.member(c.ProjectID); m != nil {
			status := q.Get("member_status")
			if status == "" {
				status = "accepted"
			}
			return status == "all" || m["status"] == status
		}
	}
	return c.Admin()
}

var notFilters = []string{"limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "os_hidden", "size_min", "size_max"}

func (i *image) matches(q url.Values) bool {
	for name, wants := range q {
		if slices.Contains(notFilters, name) || (name == "visibility" && wants[0] == "all") {
			continue
		}
		if name == "tag" {
			for _, w := range wants {
				if !slices.Contains(rest.Strings(i.doc, "tags"), w) {
					return false
				}
			}
			continue
		}
		if !oneOf(i.doc[name], wants[len(wants)-1]) {
			return false
		}
	}
	size := float64(i.size)
	if n, err := strconv.ParseFloat(q.Get("size_min"), 64); err == nil && size < n {
		return false
	}
	n, err := strconv.ParseFloat(q.Get("size_max"), 64)
	return err != nil || size <= n
}

// oneOf reads a filter, with in:a,b as a choice.
func oneOf(v any, want string) bool {
	list, ok := strings.CutPrefix(want, "in:")
	if !ok {
		return v != nil && rest.Matches(v, want)
	}
	for _, w := range strings.Split(list, ",") {
		if rest.Matches(v, strings.Trim(w, `"`)) {
			return true
		}
	}
	return false
}

func (i *image) member(project string) rest.Doc {
	for _, m := range i.members {
		if m["member_id"] == project {
			return m
		}
	}
	return nil
}

func (s *Server) listMembers(r *rest.Request) (*rest.Reply, error) {
	i, err := s.find(r)
	if err != nil {
		return nil, fail(http.StatusNotFound, "Image %s not found.", r.Param("id"))
	}
	if i.doc["visibility"] != "shared" {
		return nil, fail(http.StatusForbidden, "Not allowed to list members for image %s: Only shared images have members.", i.id())
	}
	return rest.OK(rest.Doc{"members": append([]rest.Doc{}, i.members...), "schema": "/v2/schemas/members"})
}

func (s *Server) addMember(r *rest.Request) (*rest.Reply, error) {
	i, err := s.own(r, "add_member")
	if err != nil {
		return nil, err
	}
	if i.doc["visibility"] != "shared" {
		return nil, fail(http.StatusForbidden, "Not allowed to create members for image %s.", i.id())
	}
	in, err := r.JSON()
	if err != nil || rest.Str(in, "member") == "" {
		return nil, badRequest("Member to be added not specified")
	}
	if i.member(rest.Str(in, "member")) != nil {
		return nil, fail(http.StatusConflict, "Member %s is duplicated for image %s", in["member"], i.id())
	}
	m := rest.Doc{
		"member_id": in["member"], "image_id": i.id(), "status": "pending", "created_at": s.stamp(), "updated_at": s.stamp(), "schema": "/v2/schemas/member",
	}
	i.members = append(i.members, m)
	return rest.OK(m)
}

// memberOf finds the member of the path.
func (s *Server) memberOf(r *rest.Request) (*image, rest.Doc, error) {
	i, err := s.find(r)
	if err != nil {
		return nil, nil, err
	}
	m := i.member(r.Param("member"))
	if m == nil {
		return nil, nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	return i, m, nil
}

func (s *Server) showMember(r *rest.Request) (*rest.Reply, error) {
	_, m, err := s.memberOf(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(m)
}

func (s *Server) updateMember(r *rest.Request) (*rest.Reply, error) {
	_, m, err := s.memberOf(r)
	if err != nil {
		return nil, err
	}
	if m["member_id"] != r.Caller.ProjectID && !r.Caller.Admin() {
		return nil, fail(http.StatusForbidden, "You are not authorized to complete modify_member action.")
	}
	in, err := r.JSON()
	if err != nil || !slices.Contains([]string{"pending", "accepted", "rejected"}, rest.Str(in, "status")) {
		return nil, badRequest("Status must be \"pending\", \"accepted\" or \"rejected\".")
	}
	m["status"], m["updated_at"] = in["status"], s.stamp()
	return rest.OK(m)
}

func (s *Server) removeMember(r *rest.Request) (*rest.Reply, error) {
	i, m, err := s.memberOf(r)
	if err != nil {
		return nil, err
	}
	if !r.Caller.Sees(i.doc["owner"]) {
		return nil, fail(http.StatusForbidden, "You are not authorized to complete delete_member action.")
	}
	i.members = slices.DeleteFunc(i.members, func(o rest.Doc) bool { return o["member_id"] == m["member_id"] })
	return rest.NoContent()
}
