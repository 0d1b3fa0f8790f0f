package nova

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// maxLimit is Nova's osapi_max_limit.
const maxLimit = 1000

var sortNames = []string{
	"access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at", "display_description", "display_name",
	"host", "hostname", "image_ref", "instance_type_id", "kernel_id", "key_name", "launch_index", "launched_at", "locked_by", "node",
	"power_state", "progress", "project_id", "ramdisk_id", "root_device_name", "task_state", "terminated_at", "updated_at", "user_id", "uuid",
	"vm_state", "architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at",
	"disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "locked", "memory_mb", "os_type",
	"reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode",
}

// known query parameters; from 2.75 on others are refused.
var filters = []string{
	"limit", "marker", "sort_key", "sort_dir", "name", "status", "all_tenants", "project_id", "tenant_id", "user_id", "changes-since",
	"changes-before", "metadata", "system_metadata", "image", "flavor", "ip", "ip6", "host", "node", "uuid", "reservation_id", "tags",
	"tags-any", "not-tags", "not-tags-any", "deleted", "availability_zone", "key_name", "vm_state", "task_state", "power_state", "locked",
	"hostname", "config_drive", "launched_at", "terminated_at", "created_at", "updated_at", "description", "display_description", "access_ip_v4",
	"access_ip_v6", "auto_disk_config", "disk_config", "instance_type_id", "image_ref", "kernel_id", "ramdisk_id", "launch_index", "locked_by",
	"progress", "root_device_name", "soft_deleted", "display_name", "block_device_mapping",
}

func (s *Server) listServers(r *rest.Request) (*rest.Reply, error) {
	return s.list(r, "servers", func(v *server) rest.Doc { return brief(r, v) })
}

func (s *Server) listServersDetail(r *rest.Request) (*rest.Reply, error) {
	return s.list(r, "servers/detail", func(v *server) rest.Doc {
		d := s.view(r, v, true)
		delete(d, "server_groups") // only one server shows them
		return d
	})
}

func (s *Server) list(r *rest.Request, path string, view func(*server) rest.Doc) (*rest.Reply, error) {
	q := r.URL.Query()
	limit, err := checkQuery(r, q)
	if err != nil {
		return nil, err
	}
	for _, v := range slices.Clone(s.servers) {
		s.read(v)
	}
	found, err := s.filter(r, q)
	if err != nil {
		return nil, err
	}
	keys, err := order(r, q)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *server) int { return compare(a, b, keys) })
	if marker := q.Get("marker"); marker != "" {
		at := slices.IndexFunc(s.servers, func(v *server) bool { return v.id == marker })
		if at < 0 {
			return nil, badRequest("marker [%s] not found", marker)
		}
		from := s.servers[at]
		found = slices.DeleteFunc(found, func(v *server) bool { return compare(v, from, keys) <= 0 })
	}
	out := rest.Doc{}
	if len(found) >= limit && limit > 0 {
		found = found[:limit]
		out["servers_links"] = next(r, path, q, found[limit-1].id)
	}
	if limit == 0 {
		found = nil
	}
	docs := []rest.Doc{}
	for _, v := range found {
		docs = append(docs, view(v))
	}
	out["servers"] = docs
	return rest.OK(out)
}

// next is the link to the next page. Nova offers one whenever this page is
// full.
func next(r *rest.Request, path string, q url.Values, marker string) []rest.Doc {
	other := url.Values{}
	for k, v := range q {
		if k != "marker" {
			other[k] = v
		}
	}
	query := other.Encode()
	if query != "" {
		query += "&"
	}
	return []rest.Doc{{"rel": "next", "href": base(r) + "/" + path + "?" + query + "marker=" + url.QueryEscape(marker)}}
}

var digits = regexp.MustCompile(`^[0-9]*$`)

func badQuery(name, value, problem string) *rest.Error {
	return badRequest("Invalid input for query parameters %s. Value: %s. %s", name, value, problem)
}

func readLimit(q url.Values) (int, error) {
	text := q.Get("limit")
	if !digits.MatchString(text) {
		return 0, badQuery("limit", text, fmt.Sprintf("'%s' does not match '^[0-9]*$'", text))
	}
	if text == "" {
		return maxLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return maxLimit, nil
	}
	return min(n, maxLimit), nil
}

func checkQuery(r *rest.Request, q url.Values) (int, error) {
	for name := range q {
		if r.Minor >= 75 && !slices.Contains(filters, name) && !strings.HasPrefix(name, "_") {
			return 0, badRequest("'%s' does not match any of the regexes: '^_'", name)
		}
	}
	if name := q.Get("name"); name != "" {
		if _, err := regexp.Compile(name); err != nil {
			return 0, badQuery("name", name, fmt.Sprintf("'%s' is not a 'regex'", name))
		}
	}
	for _, name := range []string{"changes-since", "changes-before"} {
		if text := q.Get(name); text != "" {
			if _, err := moment(text); err != nil {
				return 0, badQuery(name, text, fmt.Sprintf("'%s' is not a 'date-time'", text))
			}
		}
	}
	return readLimit(q)
}

func moment(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time", text)
}

// order is what the query asks for, and the ID at the end: by default the
// newest first, and within a second by ID upwards.
func order(r *rest.Request, q url.Values) ([]rest.SortKey, error) {
	names, dirs := q["sort_key"], q["sort_dir"]
	if len(names) == 0 {
		names = []string{"created_at"}
	}
	keys := []rest.SortKey{}
	for i, name := range names {
		if !slices.Contains(sortNames, name) {
			return nil, badQuery("sort_key", name, fmt.Sprintf("'%s' is not one of ['%s']", name, strings.Join(sortNames, "', '")))
		}
		if (name == "host" || name == "node") && !r.Caller.Admin() {
			return nil, rest.Errorf(403, "", "Only administrators can sort servers by host")
		}
		dir := "desc"
		if i < len(dirs) {
			dir = dirs[i]
		} else if len(dirs) > 0 {
			dir = dirs[0]
		}
		if dir != "asc" && dir != "desc" {
			return nil, badRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
		}
		keys = append(keys, rest.SortKey{Name: name, Desc: dir == "desc"})
	}
	if !slices.ContainsFunc(keys, func(k rest.SortKey) bool { return k.Name == "uuid" }) {
		keys = append(keys, rest.SortKey{Name: "uuid"})
	}
	return keys, nil
}

// value is what a server is ordered by. Times have seconds, as in the
// database.
func (v *server) value(key string) any {
	switch key {
	case "created_at":
		return seconds(v.created)
	case "updated_at":
		return seconds(v.updated)
	case "launched_at":
		return micros(v.launched)
	case "display_name":
		return strings.ToLower(v.name)
	case "hostname":
		return v.hostname
	case "uuid":
		return v.id
	case "id":
		return v.number
	case "vm_state":
		return v.vmState
	case "power_state":
		return v.power
	case "project_id":
		return v.project
	case "user_id":
		return v.user
	case "image_ref":
		return v.image
	case "key_name":
		return v.key
	case "memory_mb":
		return v.flavor.RAM
	case "vcpus":
		return v.flavor.VCPUs
	case "launch_index":
		return v.launchIndex
	}
	return nil
}

func compare(a, b *server, keys []rest.SortKey) int {
	for _, k := range keys {
		c := rest.Compare(a.value(k.Name), b.value(k.Name))
		if k.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func truthy(q url.Values, name string) bool {
	v, ok := q[name]
	if !ok {
		return false
	}
	text := strings.ToLower(v[len(v)-1])
	return text == "" || text == "1" || text == "true" || text == "yes" || text == "on"
}

// filter applies what of the query is a filter. What a plain user may not
// filter by is left out, as Nova does.
func (s *Server) filter(r *rest.Request, q url.Values) ([]*server, error) {
	all := truthy(q, "all_tenants")
	if all && !r.Caller.Admin() {
		return nil, denied("os_compute_api:servers:index:get_all_tenants")
	}
	project := r.Caller.ProjectID
	if all {
		project = q.Get("project_id")
		if project == "" {
			project = q.Get("tenant_id")
		}
	}
	tests, err := s.tests(r, q)
	if err != nil {
		return nil, err
	}
	found := []*server{}
	among := s.servers
	if q.Has("changes-since") { // this list holds what was deleted since, too
		among = slices.Concat(s.servers, s.deleted)
	} else if truthy(q, "deleted") && r.Caller.Admin() {
		among = s.deleted
	}
	for _, v := range among {
		keep := project == "" || v.project == project
		for _, test := range tests {
			keep = keep && test(v)
		}
		if keep {
			found = append(found, v)
		}
	}
	return found, nil
}

type test func(*server) bool

// tests are the filters that count. A plain user's others are ignored, which
// makes the list longer than asked for; an admin's go to the database, which
// knows no metadata.
func (s *Server) tests(r *rest.Request, q url.Values) ([]test, error) {
	var out []test
	allowed := func(name string) bool {
		since, ok := public[name]
		return r.Caller.Admin() || (ok && r.Minor >= since)
	}
	add := func(name string, make func(string) test) {
		if v := q.Get(name); v != "" && allowed(name) {
			out = append(out, make(v))
		}
	}
	for _, name := range []string{"metadata", "system_metadata", "block_device_mapping", "services", "info_cache"} {
		if q.Has(name) && r.Caller.Admin() {
			return nil, badRequest("Invalid filter field: %s.", name)
		}
	}
	add("name", func(want string) test {
		re := regexp.MustCompile("(?i)" + want)
		return func(v *server) bool { return re.MatchString(v.name) }
	})
	if want := q["status"]; len(want) > 0 {
		if r.Minor >= 38 && !slices.ContainsFunc(want, func(w string) bool { return slices.Contains(statuses, strings.ToUpper(w)) }) {
			return nil, badRequest("Invalid status value")
		}
		out = append(out, func(v *server) bool {
			return slices.ContainsFunc(want, func(w string) bool { return strings.EqualFold(w, v.status) })
		})
	}
	add("uuid", func(want string) test { return func(v *server) bool { return v.id == want } })
	add("image", func(want string) test { return func(v *server) bool { return v.image == want } })
	add("flavor", func(want string) test { return func(v *server) bool { return v.flavor.ID == want } })
	add("reservation_id", func(want string) test { return func(v *server) bool { return v.reservation == want } })
	add("user_id", func(want string) test { return func(v *server) bool { return v.user == want } })
	add("ip", func(want string) test { return s.hasAddress(4, want) })
	add("ip6", func(want string) test { return s.hasAddress(6, want) })
	add("tags", func(want string) test {
		return func(v *server) bool { return !slices.ContainsFunc(strings.Split(want, ","), v.untagged) }
	})
	add("tags-any", func(want string) test {
		return func(v *server) bool { return slices.ContainsFunc(strings.Split(want, ","), v.tagged) }
	})
	add("not-tags-any", func(want string) test {
		return func(v *server) bool { return !slices.ContainsFunc(strings.Split(want, ","), v.tagged) }
	})
	add("not-tags", func(want string) test {
		return func(v *server) bool { return slices.ContainsFunc(strings.Split(want, ","), v.untagged) }
	})
	add("changes-since", func(want string) test {
		t, _ := moment(want)
		return func(v *server) bool { return !v.updated.Truncate(time.Second).Before(t) }
	})
	add("host", func(want string) test { return func(v *server) bool { return v.placed && v.host == want } })
	add("key_name", func(want string) test { return func(v *server) bool { return v.key == want } })
	add("vm_state", func(want string) test { return func(v *server) bool { return v.vmState == want } })
	add("hostname", func(want string) test { return func(v *server) bool { return v.hostname == want } })
	add("availability_zone", func(want string) test {
		return func(v *server) bool { return v.zone == want || (v.placed && s.zoneOf(v.host) == want) }
	})
	return out, nil
}

// public are the filters of plain users, each with the microversion that
// brought it.
var public = map[string]int{
	"reservation_id": 1, "name": 1, "status": 1, "image": 1, "flavor": 1, "ip": 1, "changes-since": 1, "ip6": 5, "tags": 26, "tags-any": 26,
	"not-tags": 26, "not-tags-any": 26, "changes-before": 66, "locked": 73, "availability_zone": 83, "config_drive": 83, "key_name": 83,
	"created_at": 83, "launched_at": 83, "terminated_at": 83, "power_state": 83, "task_state": 83, "vm_state": 83, "progress": 83, "user_id": 83,
	"hostname": 90,
}

var statuses = []string{
	"ACTIVE", "BUILD", "DELETED", "ERROR", "HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "REBOOT", "REBUILD", "RESCUE", "RESIZE",
	"REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF", "SOFT_DELETED", "SUSPENDED", "VERIFY_RESIZE",
}

func (v *server) tagged(tag string) bool   { return slices.Contains(v.tags, tag) }
func (v *server) untagged(tag string) bool { return !v.tagged(tag) }

func (s *Server) hasAddress(family int, want string) test {
	re, err := regexp.Compile(want)
	return func(v *server) bool {
		for _, list := range s.addresses(v, false) {
			docs, _ := list.([]rest.Doc)
			for _, d := range docs {
				if d["version"] == family && err == nil && re.MatchString(rest.Str(d, "addr")) {
					return true
				}
			}
		}
		return false
	}
}
