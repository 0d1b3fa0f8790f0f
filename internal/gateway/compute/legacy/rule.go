package legacy

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

const groupRules = networks + "security-group-rules"

// rule is a rule as Nova's clients ask for it.
type rule struct {
	protocol string // empty: any
	ported   bool
	from, to int
	cidr     string
	group    string // the group that may come in
	parent   string
}

// createRule is "POST /os-security-group-rules".
func (d *Doors) createRule(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	asked, err := content(r, "security_group_rule")
	if err != nil {
		return nil, err
	}
	parent, err := d.group(ctx, by, asked.Get("parent_group_id"))
	if err != nil {
		return nil, err
	}
	known := groupNames{}
	if source := asked.Get("group_id"); source.Exists() && source.Type != gjson.Null {
		group, err := d.group(ctx, by, source)
		if err != nil {
			return nil, err
		}
		known[source.Str] = titleOf(group)
	}
	wanted, err := readRule(asked)
	if err != nil {
		return nil, err
	}
	wanted.parent = parent.Get("id").Str
	if wanted.isIn(parent) {
		return nil, badRequest("This rule already exists in group %s", wanted.parent)
	}
	s, err := d.tell(ctx, by, http.MethodPost, groupRules, object{"security_group_rule": wanted.neutron()})
	if err == nil && s.Status == http.StatusConflict {
		err = forbidden("%s", s.neutron())
	}
	if err == nil {
		err = s.groupFault()
	}
	if err != nil {
		return nil, err
	}
	shown, err := d.ruleView(ctx, by, s.get("security_group_rule"), known)
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"security_group_rule": shown}), nil
}

// readRule checks what Nova checks, in its order and its words.
func readRule(asked gjson.Result) (rule, error) {
	w := rule{group: asked.Get("group_id").Str}
	var err error
	if w.group == "" {
		if w.cidr, err = readCIDR(asked.Get("cidr")); err != nil {
			return w, err
		}
	}
	protocol, from, to := asked.Get("ip_protocol"), asked.Get("from_port"), asked.Get("to_port")
	if protocol.Type != gjson.Null {
		w.protocol = protocol.String()
	}
	portless := from.Type == gjson.Null && to.Type == gjson.Null
	upper := strings.ToUpper(w.protocol)
	switch {
	case w.group != "" && portless && upper == "ICMP":
		w.from, w.to, w.ported = -1, -1, true
		return w, nil
	case w.group != "" && portless && (upper == "TCP" || upper == "UDP"):
		w.from, w.to, w.ported = 1, 65535, true
		return w, nil
	case w.protocol != "" && from.Type != gjson.Null && to.Type != gjson.Null:
		return w, w.readPorts(from, to)
	case w.cidr != "":
		return w, badRequest("Not enough parameters to build a valid rule.")
	}
	w.protocol = ""
	return w, nil
}

// readPorts takes numbers, also in strings.
func (w *rule) readPorts(from, to gjson.Result) error {
	upper := strings.ToUpper(w.protocol)
	var err1, err2 error
	w.from, err1 = strconv.Atoi(strings.TrimSpace(from.String()))
	w.to, err2 = strconv.Atoi(strings.TrimSpace(to.String()))
	w.ported = true
	invalid := func(why string) error { return badRequest("Invalid port range %d:%d. %s", w.from, w.to, why) }
	switch {
	case (err1 != nil || err2 != nil) && upper == "ICMP":
		return badRequest("Invalid input received: Type and Code must be integers for ICMP protocol type")
	case err1 != nil || err2 != nil:
		return badRequest("Invalid input received: To and From ports must be integers")
	case upper != "TCP" && upper != "UDP" && upper != "ICMP":
		return badRequest("Invalid IP protocol %s.", w.protocol)
	case upper != "ICMP" && w.from > w.to:
		return invalid("Former value cannot be greater than the later")
	case upper != "ICMP" && (w.from < 1 || w.to > 65535):
		return invalid("Valid " + upper + " ports should be between 1-65535")
	case upper == "ICMP" && (w.from < -1 || w.from > 255 || w.to < -1 || w.to > 255):
		return invalid("For ICMP, the type:code must be valid")
	}
	return w.checkPrefix()
}

// checkPrefix refuses an address with a length of zero that is not "any".
func (w *rule) checkPrefix() error {
	address, length, _ := strings.Cut(w.cidr, "/")
	if length == "0" && address != "0.0.0.0" && address != "::" {
		return badRequest("Bad prefix for network in cidr %s", w.cidr)
	}
	return nil
}

// readCIDR takes a network with its length; absent is everywhere.
func readCIDR(v gjson.Result) (string, error) {
	if v.Type == gjson.Null || v.Type == gjson.String && v.Str == "" {
		return "0.0.0.0/0", nil
	}
	cidr, err := url.PathUnescape(v.String())
	if err == nil {
		_, err = netip.ParsePrefix(cidr)
	}
	if err != nil {
		return "", badRequest("%s is not a valid IP network.", v.String())
	}
	return cidr, nil
}

// isIn reports whether the group has such a rule, as Nova would see it.
func (w rule) isIn(group gjson.Result) bool {
	for _, have := range group.Get("security_group_rules").Array() {
		if have.Get("direction").Str != "ingress" {
			continue
		}
		from, to := ports(have)
		cidr := have.Get("remote_ip_prefix").Str
		if cidr == "" {
			cidr = "0.0.0.0/0"
		}
		same := have.Get("protocol").String() == w.protocol && have.Get("remote_group_id").Str == w.group && cidr == w.cidr
		if same && w.ported && number(from) == strconv.Itoa(w.from) && number(to) == strconv.Itoa(w.to) {
			return true
		}
	}
	return false
}

func number(v any) string { return string(mustJSON(v)) }

// neutron is the rule as the Network API takes it.
func (w rule) neutron() object {
	out := object{
		"direction": "ingress", "ethertype": "IPv4", "security_group_id": w.parent, "protocol": nil,
		"remote_ip_prefix": nil, "remote_group_id": nil,
	}
	if w.protocol != "" {
		out["protocol"] = w.protocol
	}
	if w.group != "" {
		out["remote_group_id"] = w.group
	}
	if w.cidr != "" {
		out["remote_ip_prefix"] = w.cidr
		if prefix, err := netip.ParsePrefix(w.cidr); err == nil && prefix.Addr().Is6() {
			out["ethertype"] = "IPv6"
		}
	}
	if w.ported && w.from != -1 {
		out["port_range_min"] = w.from
	}
	if w.ported && w.to != -1 {
		out["port_range_max"] = w.to
	}
	return out
}

// deleteRule is "DELETE /os-security-group-rules/{id}".
func (d *Doors) deleteRule(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if uuid.Validate(r.Param("id")) != nil {
		return nil, badRequest("Security group id should be uuid")
	}
	s, err := d.ask(ctx, by, http.MethodDelete, below(groupRules, r.Param("id")), nil)
	if err == nil {
		err = s.groupFault()
	}
	if err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusAccepted), nil
}
