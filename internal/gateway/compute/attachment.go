package compute

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// Interfaces of servers (os-interface). The pod speaks of its own ports, networks
// and subnets; here all of them are the region's.

// portsOf are the server's central ports by the pod's IDs.
func (a *api) portsOf(ctx context.Context, serverID, podName string) (map[string]topology.Port, error) {
	ports, err := a.Store.PortsByDevice(ctx, serverID)
	if err != nil {
		return nil, err
	}
	byPodID := make(map[string]topology.Port, len(ports))
	for _, p := range ports {
		m, err := a.Store.FindMapping(ctx, store.Target{Kind: store.KindPort, ID: p.ID, Pod: podName})
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		byPodID[m.PodID] = p
	}
	return byPodID, nil
}

// attachment is one interface in the region's IDs.
func attachment(item gjson.Result, byPodID map[string]topology.Port) json.RawMessage {
	p, ok := byPodID[item.Get("port_id").Str]
	if !ok {
		return json.RawMessage(item.Raw)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(item.Raw), &fields) != nil {
		return json.RawMessage(item.Raw)
	}
	fields["port_id"], fields["net_id"] = mustJSON(p.ID), mustJSON(p.NetworkID)
	if item.Get("fixed_ips").IsArray() {
		fields["fixed_ips"] = mustJSON(fixedIPs(item.Get("fixed_ips"), p))
	}
	return mustJSON(fields)
}

func fixedIPs(theirs gjson.Result, p topology.Port) []map[string]string {
	list := []map[string]string{}
	for _, ip := range theirs.Array() {
		entry := map[string]string{"ip_address": ip.Get("ip_address").Str, "subnet_id": ip.Get("subnet_id").Str}
		for _, ours := range p.FixedIPs {
			if ours.Address.String() == entry["ip_address"] {
				entry["subnet_id"] = ours.SubnetID
			}
		}
		list = append(list, entry)
	}
	return list
}

// interfaces is "GET /servers/{id}/os-interface".
func (a *api) interfaces(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	at, err := a.serverPod(ctx, by, id)
	if err != nil {
		return nil, err
	}
	byPodID, err := a.portsOf(ctx, id, at)
	if err != nil {
		return nil, err
	}
	return a.rewritten(ctx, by, r, at, func(_ view, body []byte) []byte {
		list := gjson.GetBytes(body, "interfaceAttachments")
		if !gjson.ValidBytes(body) || !list.IsArray() {
			return nil
		}
		ours := []json.RawMessage{}
		for _, item := range list.Array() {
			ours = append(ours, attachment(item, byPodID))
		}
		return mustJSON(map[string]any{"interfaceAttachments": ours})
	})
}

// serverPort finds the pod's ID of a port of the server.
func (a *api) serverPort(ctx context.Context, serverID, podName, portID string) (topology.Port, string, error) {
	missing := fault.New(fault.NotFound, "", "Port id %s could not be found.", portID)
	p, err := a.Store.FindPort(ctx, portID)
	if fault.Is(err, fault.NotFound) || err == nil && p.DeviceID != serverID {
		return p, "", missing
	}
	if err != nil {
		return p, "", err
	}
	m, err := a.Store.FindMapping(ctx, store.Target{Kind: store.KindPort, ID: portID, Pod: podName})
	if fault.Is(err, fault.NotFound) || err == nil && m.PodID == "" {
		return p, "", missing
	}
	return p, m.PodID, err
}

// showInterface is "GET /servers/{id}/os-interface/{port}".
func (a *api) showInterface(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	at, err := a.serverPod(ctx, by, id)
	if err != nil {
		return nil, err
	}
	p, podID, err := a.serverPort(ctx, id, at, r.Param("port"))
	if err != nil {
		return nil, err
	}
	n := a.ask(ctx, by, at, question{Method: http.MethodGet, Path: interfacePath(id, podID), Version: versionOf(r), Op: "show interface"})
	return attached(n, map[string]topology.Port{podID: p})
}

func interfacePath(serverID, portID string) string {
	path := "/servers/" + url.PathEscape(serverID) + "/os-interface"
	if portID != "" {
		path += "/" + url.PathEscape(portID)
	}
	return path
}

func attached(n answer, byPodID map[string]topology.Port) (*gateway.Reply, error) {
	if n.Err != nil {
		return nil, n.Err
	}
	item := gjson.GetBytes(n.Body, "interfaceAttachment")
	if !gjson.ValidBytes(n.Body) || !item.IsObject() {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: n.Pod, Message: "interface: the answer is not the JSON that was expected"}
	}
	return gateway.JSON(n.Status, map[string]any{"interfaceAttachment": attachment(item, byPodID)}), nil
}

// interfaceWish is the body of a request to attach an interface.
type interfaceWish struct {
	NetworkID string            `json:"net_id"`
	PortID    string            `json:"port_id"`
	FixedIPs  []json.RawMessage `json:"fixed_ips"`
	Tag       json.RawMessage   `json:"tag"`
}

func readInterface(r *gateway.Request) (w interfaceWish, address netip.Addr, err error) {
	var body struct {
		Attachment interfaceWish `json:"interfaceAttachment"`
	}
	if r.ContentLength != 0 {
		if err := r.JSON(&body); err != nil {
			return w, address, err
		}
		if err := checkInterface(r); err != nil {
			return w, address, err
		}
	}
	w = body.Attachment
	if len(w.FixedIPs) > 0 {
		text := gjson.GetBytes(w.FixedIPs[0], "ip_address").Str
		if address, err = netip.ParseAddr(text); err != nil {
			return w, address, wrongValue("fixed_ips", w.FixedIPs[0], "is not an address")
		}
	}
	for _, id := range []string{w.NetworkID, w.PortID} {
		if id != "" && uuid.Validate(id) != nil {
			return w, address, wrongValue("interfaceAttachment", mustJSON(id), "is not a 'uuid'")
		}
	}
	switch {
	case w.NetworkID != "" && w.PortID != "":
		err = fault.New(fault.Invalid, "", "Must not input both network_id and port_id")
	case address.IsValid() && w.NetworkID == "":
		err = fault.New(fault.Invalid, "", "Must input network_id when request IP address")
	}
	return w, address, err
}

// checkInterface refuses fields that Nova does not know: what they ask for would
// not be done.
func checkInterface(r *gateway.Request) error {
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	known := []string{"net_id", "port_id", "fixed_ips"}
	if versionOf(r).AtLeast(2, 49) {
		known = append(known, "tag")
	}
	wish := gjson.GetBytes(body, "interfaceAttachment")
	if !wish.Exists() {
		return nil
	}
	return checkObject("interfaceAttachment", wish, nil, known...)
}

// attach is "POST /servers/{id}/os-interface". The caller must see the server
// before anything is made for him in its pod.
func (a *api) attach(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	wish, address, err := readInterface(r)
	if err != nil {
		return nil, err
	}
	id := r.Param("id")
	at, err := a.ownServer(ctx, by, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.CreateTimeout)
	defer cancel()
	p, err := a.portToAttach(ctx, by, device{id, topology.OwnerCompute + a.Fleet.ZoneOf(at), at}, wish, address)
	if err != nil {
		return nil, err
	}
	podID, err := a.placePort(ctx, p, at)
	if err != nil {
		return nil, a.takePortBack(ctx, p, id, err)
	}
	asked := map[string]json.RawMessage{"port_id": mustJSON(podID)}
	if wish.Tag != nil {
		asked["tag"] = wish.Tag
	}
	n := a.ask(ctx, by, at, question{Method: http.MethodPost, Path: interfacePath(id, ""), Version: versionOf(r), Op: "attach interface",
		Body: mustJSON(map[string]any{"interfaceAttachment": asked})})
	if n.Err != nil && pod.NotDone(n.Err) {
		return nil, a.takePortBack(ctx, p, id, n.Err)
	}
	return attached(n, map[string]topology.Port{podID: p})
}

// ownServer finds the pod of a server that the caller may see.
func (a *api) ownServer(ctx context.Context, by identity.Caller, r *gateway.Request) (string, error) {
	id := r.Param("id")
	at, err := a.serverPod(ctx, by, id)
	if err != nil {
		return "", err
	}
	n := a.ask(ctx, by, at, question{Method: http.MethodGet, Path: "/servers/" + url.PathEscape(id), Version: minVersion, Op: "show server"})
	if fault.Is(n.Err, fault.NotFound) { // a stranger shall not read which pod has it
		return "", fault.New(fault.NotFound, "", "Instance %s could not be found.", id)
	}
	return at, n.Err
}

// device is what a port serves, as the port says it, and the pod where it is.
type device struct{ id, owner, pod string }

// portToAttach is the port named, or a new one on the network named, or on the
// only one there is. It carries the server's ID from the start, so that it goes
// with the server whatever happens on the way.
func (a *api) portToAttach(ctx context.Context, by identity.Caller, to device, wish interfaceWish, address netip.Addr) (topology.Port, error) {
	if by.ProjectID == "" {
		return topology.Port{}, fault.New(fault.Forbidden, "", "Policy doesn't allow os_compute_api:os-attach-interfaces:create to be performed.")
	}
	if wish.PortID != "" {
		p, err := a.usablePort(ctx, by, wish.PortID)
		if err != nil {
			return topology.Port{}, asNotFound(err)
		}
		return a.Store.UpdatePort(ctx, p.ID, func(p *topology.PortSpec) error {
			if p.DeviceID != "" {
				return fault.New(fault.Conflict, "PortInUse", "Port %s is still in use.", p.ID)
			}
			p.DeviceID, p.DeviceOwner = to.id, to.owner
			return nil
		})
	}
	networks := networkWish{}
	if wish.NetworkID != "" {
		networks.NICs = []nicWish{{NetworkID: wish.NetworkID, Address: address}}
	}
	nics, err := a.resolveNetworks(ctx, by, networks)
	if err != nil {
		return topology.Port{}, asNotFound(err)
	}
	if len(nics) == 0 {
		return topology.Port{}, fault.New(fault.Invalid, "", "No specific network was requested and none are available for project '%s'.", by.ProjectID)
	}
	specs, err := portSpecs(by, nics, nil)
	if err != nil {
		return topology.Port{}, err
	}
	specs[0].DeviceID, specs[0].DeviceOwner, specs[0].Near = to.id, to.owner, to.pod
	made, err := a.Store.CreatePorts(ctx, specs)
	if err != nil {
		return topology.Port{}, a.portFault(ctx, err, specs)
	}
	return made[0], nil
}

// asNotFound is a creation's 400 about an absent thing as attaching says it.
func asNotFound(err error) error {
	if f, ok := faultOf(err); ok && f.Kind == fault.Invalid && isAbsence(f.Message) {
		return fault.New(fault.NotFound, "", "%s", f.Message)
	}
	return err
}

func isAbsence(message string) bool {
	const end = "could not be found."
	return len(message) > len(end) && message[len(message)-len(end):] == end
}

// takePortBack undoes an attachment that did not happen.
func (a *api) takePortBack(ctx context.Context, p topology.Port, serverID string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := a.freePort(ctx, p, serverID); err != nil {
		a.Log.ErrorContext(ctx, "cannot free a port", "port", p.ID, "error", err)
	}
	return cause
}

// freePort takes a port off its server: out of the pod, and away if it was made
// for the server.
func (a *api) freePort(ctx context.Context, p topology.Port, serverID string) error {
	if p.Auto {
		return a.Store.DeletePort(ctx, p.ID, nil)
	}
	if err := a.Store.Unwant(ctx, store.KindPort, p.ID); err != nil {
		return err
	}
	_, err := a.Store.UpdatePort(ctx, p.ID, func(p *topology.PortSpec) error {
		if p.DeviceID == serverID {
			p.DeviceID, p.DeviceOwner = "", ""
		}
		return nil
	})
	return err
}

const (
	detachWait = 10 * time.Second
	detachPoll = 200 * time.Millisecond
)

// detach is "DELETE /servers/{id}/os-interface/{port}". The pod detaches in the
// background; the port is freed when it has, or after detachWait, since a port
// taken from under a server is detached as well.
func (a *api) detach(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	at, err := a.serverPod(ctx, by, id)
	if err != nil {
		return nil, err
	}
	p, podID, err := a.serverPort(ctx, id, at, r.Param("port"))
	if err != nil {
		return nil, err
	}
	n := a.ask(ctx, by, at, question{Method: http.MethodDelete, Path: interfacePath(id, podID), Version: versionOf(r), Op: "detach interface"})
	if n.Err != nil {
		return nil, n.Err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), detachWait+20*time.Second)
	defer cancel()
	a.awaitDetached(ctx, by, at, id, podID)
	if err := a.freePort(ctx, p, id); err != nil {
		return nil, err
	}
	return gateway.Empty(n.Status), nil
}

func (a *api) awaitDetached(ctx context.Context, by identity.Caller, podName, serverID, podID string) {
	ctx, cancel := context.WithTimeout(ctx, detachWait)
	defer cancel()
	tick := time.NewTicker(detachPoll)
	defer tick.Stop()
	for {
		n := a.ask(ctx, by, podName, question{Method: http.MethodGet, Path: interfacePath(serverID, podID), Version: minVersion, Op: "show interface"})
		if n.Err != nil {
			return // gone, or nobody can tell
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
