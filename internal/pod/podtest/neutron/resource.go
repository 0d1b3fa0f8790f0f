package neutron

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// attribute says what may be done with one attribute of a resource.
type attribute struct {
	post, put bool
	admin     bool // only an admin may set it
	hidden    bool // only an admin may see it
	required  bool
	kind      string // string, bool, int, uuid, ip, mac, list, dict; empty: anything
	null      bool   // null is a value
	values    []string
}

// resource is one collection of the API. The functions hold what differs.
type resource struct {
	server               *Server
	path, single, plural string
	store                *rest.Store
	attrs                map[string]attribute
	visible              func(rest.Caller, rest.Doc) bool
	missing              func(id string) error
	make                 func(c rest.Caller, in rest.Doc) (rest.Doc, error)
	change               func(c rest.Caller, d, in rest.Doc) error
	drop                 func(c rest.Caller, d rest.Doc) error
	// render adds what is computed.
	render func(rest.Doc) rest.Doc
	// touch runs before a list.
	before func(r *rest.Request)
}

// standard adds the attributes that everything has.
func standard(attrs map[string]attribute) map[string]attribute {
	for _, name := range []string{"id", "created_at", "updated_at", "revision_number", "status", "tags"} {
		if _, ok := attrs[name]; !ok {
			attrs[name] = attribute{}
		}
	}
	attrs["project_id"] = attribute{post: true, kind: "string"}
	attrs["tenant_id"] = attribute{post: true, kind: "string"}
	attrs["description"] = attribute{post: true, put: true, kind: "string"}
	return attrs
}

func (res *resource) view(c rest.Caller, d rest.Doc) rest.Doc {
	out := rest.Doc{}
	for k, v := range d {
		if strings.HasPrefix(k, "_") || (res.attrs[k].hidden && !c.Admin()) {
			continue
		}
		out[k] = v
	}
	out["tenant_id"] = out["project_id"]
	if res.render != nil {
		out = res.render(out)
	}
	return out
}

func (res *resource) find(c rest.Caller, id string) (rest.Doc, error) {
	d := res.store.Find(id)
	if d == nil || !res.visible(c, d) {
		return nil, res.missing(id)
	}
	return d, nil
}

func (res *resource) show(r *rest.Request) (*rest.Reply, error) {
	d, err := res.find(r.Caller, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{res.single: only(res.view(r.Caller, d), r.URL.Query()["fields"])})
}

func (res *resource) create(r *rest.Request) (*rest.Reply, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, badRequest("Body contains invalid data")
	}
	if list, ok := body[res.plural].([]any); ok {
		return res.createAll(r, list)
	}
	in, ok := body[res.single].(rest.Doc)
	if !ok {
		return nil, badRequest("Unable to find '%s' in request body", res.single)
	}
	d, err := res.add(r.Caller, in)
	if err != nil {
		return nil, err
	}
	return rest.Created(rest.Doc{res.single: res.view(r.Caller, d)})
}

// createAll is a bulk creation: all or nothing.
func (res *resource) createAll(r *rest.Request, list []any) (*rest.Reply, error) {
	made := []rest.Doc{}
	for _, item := range list {
		in, ok := item.(rest.Doc)
		if !ok {
			return nil, badRequest("Resource body required")
		}
		d, err := res.add(r.Caller, in)
		if err != nil {
			for _, m := range made {
				res.store.Delete(rest.Str(m, "id"))
			}
			return nil, err
		}
		made = append(made, d)
	}
	views := []rest.Doc{}
	for _, d := range made {
		views = append(views, res.view(r.Caller, d))
	}
	return rest.Created(rest.Doc{res.plural: views})
}

func (res *resource) add(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	in, err := res.check(c, in, true)
	if err != nil {
		return nil, err
	}
	d, err := res.make(c, in)
	if err != nil {
		return nil, err
	}
	if d["id"] == nil {
		d["id"] = uuid.NewString()
	}
	d["project_id"] = in["project_id"]
	d["tags"] = []string{}
	d["created_at"], d["updated_at"] = res.server.stamp(), res.server.stamp()
	d["revision_number"] = 1
	if d["description"] == nil {
		d["description"] = rest.Str(in, "description")
	}
	res.store.Put(rest.Str(d, "id"), d)
	res.server.settled(d)
	return d, nil
}

func (res *resource) update(r *rest.Request) (*rest.Reply, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, badRequest("Body contains invalid data")
	}
	in, ok := body[res.single].(rest.Doc)
	if !ok {
		return nil, badRequest("Unable to find '%s' in request body", res.single)
	}
	if in, err = res.check(r.Caller, in, false); err != nil {
		return nil, err
	}
	d, err := res.find(r.Caller, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if !res.owns(r.Caller, d) {
		return nil, denied("rule:update_" + res.single)
	}
	if err := res.change(r.Caller, d, in); err != nil {
		return nil, err
	}
	res.server.touch(d)
	res.server.settled(d)
	return rest.OK(rest.Doc{res.single: res.view(r.Caller, d)})
}

func (res *resource) remove(r *rest.Request) (*rest.Reply, error) {
	d, err := res.find(r.Caller, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if !res.owns(r.Caller, d) {
		return nil, denied("rule:delete_" + res.single)
	}
	if err := res.drop(r.Caller, d); err != nil {
		return nil, err
	}
	res.store.Delete(rest.Str(d, "id"))
	res.server.settled(d)
	return rest.NoContent()
}

// owns says whether the caller may change d: his own, or on his own network.
func (res *resource) owns(c rest.Caller, d rest.Doc) bool {
	if c.Sees(d["project_id"]) {
		return true
	}
	network := res.server.networks.Find(rest.Str(d, "network_id"))
	return network != nil && network["project_id"] == c.ProjectID
}

// check holds a body against the attribute table.
func (res *resource) check(c rest.Caller, body rest.Doc, create bool) (rest.Doc, error) {
	in := rest.Doc{}
	unknown := []string{}
	for name, v := range body {
		if _, ok := res.attrs[name]; !ok {
			unknown = append(unknown, name)
		}
		in[name] = v
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return nil, badRequest("Unrecognized attribute(s) '%s'", strings.Join(unknown, ", "))
	}
	if err := owner(c, in, create); err != nil {
		return nil, err
	}
	for name, v := range in {
		a := res.attrs[name]
		switch {
		case create && !a.post:
			return nil, badRequest("Attribute '%s' not allowed in POST", name)
		case !create && !a.put:
			return nil, badRequest("Cannot update read-only attribute %s", name)
		}
		if a.kind == "bool" {
			b, ok := boolean(v)
			if !ok {
				return nil, invalid("'%s' cannot be converted to boolean.", rest.Text(v))
			}
			in[name] = b
		}
		if err := a.valid(name, v); err != nil {
			return nil, err
		}
		if a.admin && !c.Admin() {
			verb := map[bool]string{true: "create", false: "update"}[create]
			return nil, denied(fmt.Sprintf("(rule:%s_%s and rule:%s_%s:%s)", verb, res.single, verb, res.single, name))
		}
	}
	if create {
		for name, a := range res.attrs {
			if _, ok := in[name]; a.required && !ok {
				return nil, badRequest("Failed to parse request. Required attribute '%s' not specified", name)
			}
		}
	}
	delete(in, "tenant_id")
	return in, nil
}

// owner settles project_id and tenant_id.
func owner(c rest.Caller, in rest.Doc, create bool) error {
	project := rest.Str(in, "project_id")
	if project == "" {
		project = rest.Str(in, "tenant_id")
	}
	if project != "" && !c.Sees(project) {
		return badRequest("Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges")
	}
	if create {
		if project == "" {
			project = c.ProjectID
		}
		in["project_id"] = project
	}
	return nil
}

func (a attribute) valid(name string, v any) error {
	reason := ""
	switch {
	case v == nil && a.null:
	case a.values != nil && !slices.Contains(a.values, rest.Text(v)):
		reason = fmt.Sprintf("%s is not in valid_values.", rest.Text(v))
	case a.kind == "string":
		if _, ok := v.(string); !ok {
			reason = fmt.Sprintf("'%s' is not a valid string.", rest.Text(v))
		}
	case a.kind == "uuid":
		if s, _ := v.(string); !isUUID(s) {
			reason = fmt.Sprintf("'%s' is not a valid UUID.", rest.Text(v))
		}
	case a.kind == "mac":
		s, _ := v.(string)
		if hw, err := net.ParseMAC(s); err != nil || len(hw) != 6 {
			reason = fmt.Sprintf("'%s' is not a valid MAC address.", rest.Text(v))
		}
	case a.kind == "ip":
		if s, _ := v.(string); !isIP(s) {
			reason = fmt.Sprintf("'%s' is not a valid IP address.", rest.Text(v))
		}
	case a.kind == "list":
		if _, ok := v.([]any); !ok {
			reason = fmt.Sprintf("'%s' is not a list.", rest.Text(v))
		}
	case a.kind == "dict":
		if _, ok := v.(rest.Doc); !ok {
			reason = fmt.Sprintf("'%s' is not a dictionary.", rest.Text(v))
		}
	}
	if reason != "" {
		return badRequest("Invalid input for %s. Reason: %s", name, reason)
	}
	return nil
}

// boolean reads true and false as leniently as Neutron.
func boolean(v any) (value, ok bool) {
	switch t := v.(type) {
	case bool:
		return t, true
	case string:
		switch strings.ToLower(t) {
		case "true", "1":
			return true, true
		case "false", "0":
			return false, true
		}
	case float64:
		return t == 1, t == 0 || t == 1
	}
	return false, false
}

func isUUID(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil && len(s) == 36
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// copyIn takes the attributes of a body into a document.
func copyIn(d, in rest.Doc, names ...string) {
	for _, name := range names {
		if v, ok := in[name]; ok {
			d[name] = v
		}
	}
}

// either is the body's value, or the default.
func either(in rest.Doc, name string, def any) any {
	if v, ok := in[name]; ok {
		return v
	}
	return def
}
