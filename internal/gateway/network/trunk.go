package network

import (
	"context"
	"net/http"
	"strconv"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var trunkAttributes = tagged(
	attribute{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "admin_state_up", read: readFlag, fallback: true, post: true, put: true, filter: filterFlag, sort: true},
	attribute{name: "port_id", read: readUUID, required: true, post: true, filter: asIs, sort: true},
	attribute{name: "status", sort: true},
	attribute{name: "sub_ports", read: func(_ string, v any) (any, error) {
		return readSubports(v, true, func(reason string, args ...any) error { return unfit("sub_ports", reason, args...) })
	}, post: true},
)

// readSubports reads a list of subports. Those that are to leave need no more
// than a port each.
func readSubports(v any, tags bool, refuse func(reason string, args ...any) error) ([]topology.Subport, error) {
	elements, ok := v.([]any)
	if !ok {
		return nil, refuse("Invalid data format for subports: '%s' is not a list", python(v))
	}
	all := []topology.Subport{}
	seen := map[string]bool{}
	taken := map[topology.Subport]bool{}
	for _, e := range elements {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, refuse("Invalid data format for subport: '%s' is not a dict", python(e))
		}
		s, err := readSubport(m, tags, refuse)
		if err != nil {
			return nil, err
		}
		if seen[s.PortID] {
			return nil, refuse("Non unique UUID for subport: '%s'", s.PortID)
		}
		tag := topology.Subport{SegmentationType: s.SegmentationType, SegmentationID: s.SegmentationID}
		if taken[tag] && s.SegmentationType != topology.SegmentationInherit && s.SegmentationType != "" {
			return nil, refuse("Segmentation ID '%d' for '%s' is not unique", s.SegmentationID, s.PortID)
		}
		seen[s.PortID], taken[tag] = true, true
		all = append(all, s)
	}
	return all, nil
}

func readSubport(m map[string]any, tags bool, refuse func(string, ...any) error) (s topology.Subport, err error) {
	port, given := m["port_id"]
	if !given {
		return s, refuse("A valid port UUID must be specified")
	}
	text, ok := port.(string)
	if !ok || !uuidLike.MatchString(text) {
		return s, refuse("Invalid UUID for subport: '%s'", python(port))
	}
	s.PortID = text
	s.SegmentationType, _ = m["segmentation_type"].(string)
	id, hasID := m["segmentation_id"]
	const missing = "Invalid subport details '%s': missing segmentation information. Must specify both segmentation_id and segmentation_type"
	switch {
	case s.SegmentationType == topology.SegmentationInherit:
		return s, nil
	case (s.SegmentationType == "" || !hasID || id == nil) && len(m) > 1:
		return s, refuse(missing, python(m))
	case len(m) == 1 && tags:
		return s, invalidInput(missing, python(m))
	case !hasID:
		return s, nil
	}
	if s.SegmentationID, err = strconv.Atoi(python(id)); err != nil {
		return s, invalidInput("Invalid subport details: segmentation_id '%s' is not an integer", python(id))
	}
	return s, nil
}

func (a *api) trunks() *resource[topology.Trunk] {
	all := a.Store.Trunks()
	return &resource[topology.Trunk]{
		one: "trunk", many: "trunks", attributes: trunkAttributes, missing: topology.NoTrunk,
		list: all.List, find: all.Find, tags: store.TaggedTrunks, store: a.Store, view: viewTrunks, create: a.createTrunks,
		update: func(ctx context.Context, _ identity.Caller, old *topology.Trunk, v values, match revision) (topology.Trunk, error) {
			return all.Update(ctx, old.ID, func(t *topology.Trunk) error {
				setTrunk(t, v)
				return check(match, t.Revision)
			})
		},
		remove: func(ctx context.Context, _ identity.Caller, old *topology.Trunk, match revision) error {
			return all.Delete(ctx, old.ID, func(t *topology.Trunk) error { return check(match, t.Revision) })
		},
	}
}

// setTrunk takes over what may also be changed later.
func setTrunk(t *topology.Trunk, v values) {
	set(v, "name", &t.Name)
	set(v, "description", &t.Description)
	set(v, "admin_state_up", &t.AdminStateUp)
}

func (a *api) createTrunks(ctx context.Context, by identity.Caller, all []values) ([]topology.Trunk, error) {
	made := make([]topology.Trunk, len(all))
	for i, v := range all {
		t := &made[i]
		set(v, "project_id", &t.ProjectID)
		set(v, "port_id", &t.PortID)
		set(v, "sub_ports", &t.Subports)
		setTrunk(t, v)
		if _, err := a.ports().get(ctx, by, t.PortID); err != nil {
			return nil, err
		}
		if err := a.checkSubports(ctx, by, t.Subports); err != nil {
			return nil, err
		}
	}
	return a.Store.Trunks().Create(ctx, made)
}

// checkSubports hides the ports that the caller does not see.
func (a *api) checkSubports(ctx context.Context, by identity.Caller, subports []topology.Subport) error {
	for _, s := range subports {
		if _, err := a.ports().get(ctx, by, s.PortID); err != nil {
			return err
		}
	}
	return nil
}

func viewTrunks(_ context.Context, _ identity.Caller, all []topology.Trunk) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, t := range all {
		m := owned(t.ID, t.ProjectID, t.Description, t.CreatedAt, t.UpdatedAt, t.Revision)
		m["name"], m["admin_state_up"], m["port_id"], m["status"], m["sub_ports"] = t.Name, t.AdminStateUp, t.PortID, t.Status, t.Subports
		shown[i] = m
	}
	return shown, nil
}

// trunkRoutes are the trunks and what is done with their subports.
func (a *api) trunkRoutes() []gateway.Route {
	line := func(method, act string, h gateway.Handler) gateway.Route {
		return gateway.Route{Method: method, Pattern: "/trunks/{id}/" + act, Strategy: gateway.Central, Policy: act, Handle: h}
	}
	return append(a.trunks().routes(),
		line(http.MethodGet, "get_subports", a.listSubports),
		line(http.MethodPut, "add_subports", a.changeSubports(true, a.addSubports)),
		line(http.MethodPut, "remove_subports", a.changeSubports(false, a.removeSubports)),
	)
}

func (a *api) listSubports(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	t, err := a.trunks().get(ctx, by, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusOK, map[string]any{"sub_ports": t.Subports}), nil
}

// changeSubports answers with the trunk, which as in Neutron has no name around it.
func (a *api) changeSubports(tags bool, change func(ctx context.Context, by identity.Caller, id string, subports []topology.Subport,
	allow func(*topology.Trunk) error) (topology.Trunk, error)) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		trunks := a.trunks()
		raw, err := r.Bytes()
		if err != nil {
			return nil, err
		}
		body, err := parse(raw)
		if err != nil {
			return nil, err
		}
		old, match, err := trunks.toChange(ctx, by, r)
		if err != nil {
			return nil, err
		}
		subports, err := readSubports(body["sub_ports"], tags, invalidInput)
		if err != nil {
			return nil, err
		}
		t, err := change(ctx, by, old.ID, subports, func(t *topology.Trunk) error { return check(match, t.Revision) })
		if err != nil {
			return nil, err
		}
		shown, err := trunks.show(ctx, by, []topology.Trunk{t})
		if err != nil {
			return nil, err
		}
		return gateway.JSON(http.StatusOK, shown[0]), nil
	}
}

func (a *api) addSubports(ctx context.Context, by identity.Caller, id string, subports []topology.Subport, allow func(*topology.Trunk) error) (topology.Trunk, error) {
	if err := a.checkSubports(ctx, by, subports); err != nil {
		return topology.Trunk{}, err
	}
	return a.Store.Trunks().AddSubports(ctx, id, subports, allow)
}

func (a *api) removeSubports(ctx context.Context, _ identity.Caller, id string, subports []topology.Subport, allow func(*topology.Trunk) error) (topology.Trunk, error) {
	ports := make([]string, len(subports))
	for i, s := range subports {
		ports[i] = s.PortID
	}
	return a.Store.Trunks().RemoveSubports(ctx, id, ports, allow)
}

// addTrunks shows parents what comes with them; other ports have no such field.
func (a *api) addTrunks(ctx context.Context, shown []map[string]any) error {
	ids := make([]string, len(shown))
	for i := range shown {
		ids[i] = shown[i]["id"].(string)
	}
	trunks, err := a.Store.TrunksOf(ctx, ids...)
	for i, id := range ids {
		if t, ok := trunks[id]; ok {
			shown[i]["trunk_details"] = map[string]any{"trunk_id": t.ID, "sub_ports": t.Subports}
		}
	}
	return err
}
