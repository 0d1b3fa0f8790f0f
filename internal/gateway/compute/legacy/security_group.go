package legacy

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

const groups = networks + "security-groups"

// groupNames remembers what the groups that rules name are called.
type groupNames map[string]object

// name is the group as a rule shows it; nil if it is gone.
func (d *Doors) name(ctx context.Context, by identity.Caller, known groupNames, id string) (object, error) {
	if shown, there := known[id]; there {
		return shown, nil
	}
	s, err := d.ask(ctx, by, http.MethodGet, below(groups, id), nil)
	if err != nil {
		return nil, err
	}
	known[id] = nil
	if s.ok() {
		known[id] = titleOf(s.get("security_group"))
	}
	return known[id], nil
}

func titleOf(group gjson.Result) object {
	return object{"name": raw(group.Get("name")), "tenant_id": raw(group.Get("tenant_id"))}
}

// groupView is a group as Nova shows it: what may come in, since Nova never knew
// rules for what goes out.
func (d *Doors) groupView(ctx context.Context, by identity.Caller, group gjson.Result, known groupNames) (object, error) {
	known[group.Get("id").Str] = titleOf(group)
	rules := []object{}
	for _, rule := range group.Get("security_group_rules").Array() {
		if rule.Get("direction").Str != "ingress" {
			continue
		}
		shown, err := d.ruleView(ctx, by, rule, known)
		if err != nil {
			return nil, err
		}
		if shown != nil {
			rules = append(rules, shown)
		}
	}
	return object{
		"id": raw(group.Get("id")), "name": raw(group.Get("name")), "description": raw(group.Get("description")),
		"tenant_id": raw(group.Get("tenant_id")), "rules": rules,
	}, nil
}

// ruleView is a rule as Nova shows it; nil if it names a group that is gone.
func (d *Doors) ruleView(ctx context.Context, by identity.Caller, rule gjson.Result, known groupNames) (object, error) {
	from, to := ports(rule)
	shown := object{
		"id": raw(rule.Get("id")), "parent_group_id": raw(rule.Get("security_group_id")), "ip_protocol": raw(rule.Get("protocol")),
		"from_port": from, "to_port": to, "group": object{}, "ip_range": object{},
	}
	if id := rule.Get("remote_group_id").Str; id != "" {
		group, err := d.name(ctx, by, known, id)
		if err != nil || group == nil {
			return nil, err
		}
		shown["group"] = group
		return shown, nil
	}
	cidr := rule.Get("remote_ip_prefix").Str
	if cidr == "" {
		cidr = "0.0.0.0/0"
	}
	shown["ip_range"] = object{"cidr": cidr}
	return shown, nil
}

// ports are the rule's ports in nova-network's way: a protocol without ports has
// all of them, by number.
func ports(rule gjson.Result) (from, to any) {
	low, high := rule.Get("port_range_min"), rule.Get("port_range_max")
	protocol := strings.ToUpper(rule.Get("protocol").String())
	switch {
	case protocol == "" || low.Type != gjson.Null || high.Type != gjson.Null:
		return raw(low), raw(high)
	case protocol == "TCP" || protocol == "UDP":
		return 1, 65535
	}
	return -1, -1
}

// listGroups is "GET /os-security-groups".
func (d *Doors) listGroups(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	query := r.URL.Query()
	offset, limit, err := slicing(query)
	if err != nil {
		return nil, err
	}
	of := url.Values{"tenant_id": {by.ProjectID}}
	if by.IsAdmin() && query.Has("all_tenants") {
		of = nil
	}
	s, err := d.ask(ctx, by, http.MethodGet, groups, of)
	if err != nil {
		return nil, err
	}
	if !s.ok() {
		return nil, s.fault()
	}
	return d.groupsReply(ctx, by, s.get("security_groups").Array(), offset, limit)
}

func (d *Doors) groupsReply(ctx context.Context, by identity.Caller, list []gjson.Result, offset, limit int) (*gateway.Reply, error) {
	known := groupNames{}
	for _, g := range list {
		known[g.Get("id").Str] = titleOf(g)
	}
	list = part(list, offset, limit)
	slices.SortStableFunc(list, func(a, b gjson.Result) int {
		return cmp.Or(cmp.Compare(a.Get("tenant_id").Str, b.Get("tenant_id").Str), cmp.Compare(a.Get("name").Str, b.Get("name").Str))
	})
	shown := []object{}
	for _, g := range list {
		v, err := d.groupView(ctx, by, g, known)
		if err != nil {
			return nil, err
		}
		shown = append(shown, v)
	}
	return reply(http.StatusOK, object{"security_groups": shown}), nil
}

// maxIDs is how many groups one question names: addresses of requests are bounded.
const maxIDs = 100

// ServerGroups is "GET /servers/{id}/os-security-groups" of a server that the
// caller sees.
func (d *Doors) ServerGroups(ctx context.Context, by identity.Caller, server string) (*gateway.Reply, error) {
	s, err := d.ask(ctx, by, http.MethodGet, networks+"ports", url.Values{"device_id": {server}})
	if err != nil {
		return nil, err
	}
	if !s.ok() {
		return nil, s.fault()
	}
	var ids []string
	for _, id := range s.get("ports.#.security_groups|@flatten").Array() {
		if !slices.Contains(ids, id.Str) {
			ids = append(ids, id.Str)
		}
	}
	var list []gjson.Result
	for named := range slices.Chunk(ids, maxIDs) {
		s, err := d.ask(ctx, by, http.MethodGet, groups, url.Values{"id": named})
		if err != nil {
			return nil, err
		}
		if !s.ok() {
			return nil, s.fault()
		}
		list = append(list, s.get("security_groups").Array()...)
	}
	return d.groupsReply(ctx, by, list, 0, len(list))
}

// group finds the group of the ID, in Nova's words if there is none.
func (d *Doors) group(ctx context.Context, by identity.Caller, id gjson.Result) (gjson.Result, error) {
	if id.Type != gjson.String || uuid.Validate(id.Str) != nil {
		return gjson.Result{}, badRequest("Security group id should be uuid")
	}
	s, err := d.ask(ctx, by, http.MethodGet, below(groups, id.Str), nil)
	if err == nil {
		err = s.groupFault()
	}
	return s.get("security_group"), err
}

// param is a named part of the path as a value.
func param(r *gateway.Request, name string) gjson.Result {
	return gjson.Result{Type: gjson.String, Str: r.Param(name)}
}

// groupFault is the Network API's refusal in Nova's words.
func (s said) groupFault() error {
	switch {
	case s.ok():
		return nil
	case s.Status == http.StatusNotFound:
		return notFound("%s", s.neutron())
	case s.Status == http.StatusBadRequest:
		return badRequest("%s", s.neutron())
	}
	return s.fault()
}

// showGroup is "GET /os-security-groups/{id}".
func (d *Doors) showGroup(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	group, err := d.group(ctx, by, param(r, "id"))
	if err != nil {
		return nil, err
	}
	return d.groupReply(ctx, by, group)
}

func (d *Doors) groupReply(ctx context.Context, by identity.Caller, group gjson.Result) (*gateway.Reply, error) {
	v, err := d.groupView(ctx, by, group, groupNames{})
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"security_group": v}), nil
}

// content is the one object in a body that Nova checks by hand.
func content(r *gateway.Request, key string) (gjson.Result, error) {
	doc, err := document(r)
	if err != nil {
		return doc, err
	}
	v := doc.Get(key)
	switch {
	case !doc.IsObject() || doc.Raw == "{}" || len(doc.Map()) == 0:
		return v, badRequest("The request body can't be empty")
	case !v.Exists() || v.Type == gjson.Null:
		return v, badRequest("Missing parameter %s", key)
	case !v.IsObject():
		return v, badRequest("Invalid input for field/attribute %s. Value: %s. %s is not of type 'object'", key, gateway.Str(v), gateway.Repr(v))
	}
	return v, nil
}

// naming reads the name and the description of a group.
func naming(v gjson.Result) (object, error) {
	out := object{}
	for _, field := range []string{"name", "description"} {
		value := v.Get(field)
		if value.Type != gjson.String {
			return nil, badRequest("%s is not a string or unicode", field)
		}
		if n := utf8.RuneCountInString(value.Str); n > 255 {
			return nil, badRequest("%s has %d characters, more than 255.", field, n)
		}
		out[field] = value.Str
	}
	return object{"security_group": out}, nil
}

// createGroup is "POST /os-security-groups".
func (d *Doors) createGroup(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	asked, err := content(r, "security_group")
	if err != nil {
		return nil, err
	}
	body, err := naming(asked)
	if err != nil {
		return nil, err
	}
	s, err := d.tell(ctx, by, http.MethodPost, groups, body)
	if err == nil && s.Status == http.StatusConflict {
		err = forbidden("%s", s.neutron()) // over quota, for Nova
	}
	if err == nil {
		err = s.groupFault()
	}
	if err != nil {
		return nil, err
	}
	return d.groupReply(ctx, by, s.get("security_group"))
}

// updateGroup is "PUT /os-security-groups/{id}".
func (d *Doors) updateGroup(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if _, err := d.group(ctx, by, param(r, "id")); err != nil {
		return nil, err
	}
	asked, err := content(r, "security_group")
	if err != nil {
		return nil, err
	}
	body, err := naming(asked)
	if err != nil {
		return nil, err
	}
	s, err := d.tell(ctx, by, http.MethodPut, below(groups, r.Param("id")), body)
	if err == nil {
		err = s.groupFault()
	}
	if err != nil {
		return nil, err
	}
	return d.groupReply(ctx, by, s.get("security_group"))
}

// deleteGroup is "DELETE /os-security-groups/{id}".
func (d *Doors) deleteGroup(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if _, err := d.group(ctx, by, param(r, "id")); err != nil {
		return nil, err
	}
	s, err := d.ask(ctx, by, http.MethodDelete, below(groups, r.Param("id")), nil)
	if err == nil && s.Status == http.StatusConflict {
		err = badRequest("%s", s.neutron()) // in use
	}
	if err == nil {
		err = s.groupFault()
	}
	if err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusAccepted), nil
}
