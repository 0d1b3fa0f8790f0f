package compute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// job is one creation on its way: what was asked, and what was decided.
type job struct {
	by      identity.Caller
	request *gateway.Request
	body    []byte
	wish    *creation
	nics    []nic
	groups  []string // IDs for the ports to make; nil: the default group
	need    fleet.Need
	pod     store.Pod // chosen for the next server
	made    []made
	record  store.Decision
	story   fleet.Record
	// serverGroup is ours that the servers are to join; empty: none of ours.
	serverGroup string
	size        quota.Size    // of each server
	volumes     quota.Amounts // that the pod makes for each
	canCopy     bool          // its images can be brought to other pods
	grant       string        // of several servers admitted at once
}

// made is a server that the request has come to so far.
type made struct{ id, pod string }

// create is "POST /servers". Everything that can be wrong with the request is
// found before the first write; from the journal entry on the work goes on even
// if the client leaves, until it is done or undone.
func (a *api) create(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	j := &job{by: by, request: r, body: body}
	if j.wish, err = parseCreation(body, versionOf(r)); err != nil {
		return nil, err
	}
	if err := a.plan(ctx, j); err != nil {
		return nil, err
	}
	var reply *gateway.Reply
	for range 3 {
		if err := a.choose(ctx, j); err != nil {
			return nil, err
		}
		if reply, err = a.carryOut(ctx, j); !groupElsewhere(err) {
			return reply, err
		}
		if err := a.followGroup(ctx, j); err != nil {
			return nil, err
		}
	}
	return nil, err
}

// carryOut makes what was asked, in the pod chosen or in the next ones.
func (a *api) carryOut(ctx context.Context, j *job) (*gateway.Reply, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.CreateTimeout)
	defer cancel()
	release, err := a.admit(ctx, j)
	if err != nil {
		return nil, err
	}
	defer release()
	return a.createAll(ctx, j)
}

// createAll makes the servers, as many as asked, in one pod, or with the hint in
// several. When the pod refuses one of them after others were made, those go
// again and the next pod gets the whole request.
func (a *api) createAll(ctx context.Context, j *job) (*gateway.Reply, error) {
	for {
		reply, err := a.createBatch(ctx, j)
		if err == nil {
			return reply, nil
		}
		left := a.takeBack(ctx, j)
		if len(left) > 0 || !errors.Is(err, errOtherPod) {
			return nil, withLeft(err, left)
		}
		if err := a.chooseAgain(ctx, j, err); err != nil {
			return nil, err
		}
		// What goes again still counts until it is gone; the next pod's servers are
		// the same ones to the quota.
		if err := a.Store.RefillGrant(ctx, j.grant, j.wish.Max); err != nil {
			return nil, err
		}
	}
}

// createBatch makes the servers one after the other: each is a creation of its
// own, so that each has its own ports. Fewer than min_count is a failure.
func (a *api) createBatch(ctx context.Context, j *job) (first *gateway.Reply, err error) {
	for i := range j.wish.Max {
		name := j.wish.Name
		if j.wish.Max > 1 {
			name = fmt.Sprintf("%s-%d", name, i+1)
		}
		if i > 0 && j.wish.Apart {
			err = a.choose(ctx, j)
		}
		var id string
		var reply *gateway.Reply
		if err == nil {
			id, reply, err = a.createOne(ctx, j, name)
		}
		if err != nil && len(j.made) >= j.wish.Min {
			a.Log.InfoContext(ctx, "fewer servers than max_count", "request_id", j.request.ID, "made", len(j.made), "error", err)
			break
		}
		if err != nil {
			return nil, err
		}
		j.made = append(j.made, made{id, j.pod.Name})
		if first == nil {
			first = reply
		}
	}
	return first, nil
}

// takeBack deletes the servers that were made before one of them failed, and
// names those that it cannot delete.
func (a *api) takeBack(ctx context.Context, j *job) (left []string) {
	for _, m := range j.made {
		if err := a.deleteIn(ctx, j.by, m.pod, m.id); err != nil {
			left = append(left, m.id)
		}
	}
	j.made = nil
	return left
}

func withLeft(cause error, left []string) error {
	if f, ok := faultOf(cause); ok && len(left) > 0 {
		said := *f
		said.Message += " (servers made before it are left: " + strings.Join(left, ", ") + ")"
		return &said
	}
	return cause
}

// createOne makes one server: journal, ports, server, record. A pod that refuses
// it for lack of room or quota is left for the next one.
func (a *api) createOne(ctx context.Context, j *job, name string) (string, *gateway.Reply, error) {
	in := store.Intent{
		ID: uuid.NewString(), Kind: store.KindServer, Pod: j.pod.Name, ProjectID: j.by.ProjectID, UserID: j.by.UserID,
		Name: name, Zone: j.pod.Zone, DecisionID: j.record.ID, ServerGroup: j.serverGroup, Size: j.size, Grant: j.grant, Amounts: j.volumes,
	}
	var held releases
	defer held.release()
	if err := held.hold(ctx, a.Reconciler, in); err != nil {
		return "", nil, err
	}
	ports, err := a.begin(ctx, j, in)
	if err != nil {
		return "", nil, err
	}
	for {
		n, err := a.attempt(ctx, j, in, ports)
		missing, waits := errors.AsType[*noImageYet](err)
		switch {
		case err == nil:
			return a.settle(ctx, j, in, n)
		case waits:
			return a.wait(ctx, j, in, missing)
		case !podRefused(err):
			return "", nil, err
		}
		if err := a.moveOn(ctx, j, &in, &held, err); err != nil {
			return "", nil, err
		}
	}
}

// attempt brings the ports into the pod and asks it for the server. After an error
// the creation has been ended, or left to its job if only the pod knows what has
// become of it; unless the pod refused: then it can still be moved, or wait.
func (a *api) attempt(ctx context.Context, j *job, in store.Intent, ports []topology.Port) (answer, error) {
	group, err := a.placeServerGroup(ctx, j)
	if podRefused(err) {
		return answer{}, err
	}
	if err != nil {
		return answer{}, a.abandon(ctx, in, err)
	}
	placed, err := a.placePorts(ctx, j, ports)
	if podRefused(err) {
		return answer{}, placeFault(err, ports)
	}
	if err != nil {
		return answer{}, a.abandon(ctx, in, placeFault(err, ports))
	}
	body, err := j.wish.body(podServer{Name: in.Name, Zone: j.podZone(), Mark: in.ID, Ports: placed, ServerGroup: group})
	if err != nil {
		return answer{}, a.abandon(ctx, in, err)
	}
	n := a.post(ctx, j, body)
	n.Err = ourGroup(n.Err, group, j.serverGroup)
	waits := a.awaits(ctx, j, body, n.Err)
	if _, ok := errors.AsType[*noImageYet](waits); ok {
		return n, waits
	}
	switch {
	case n.Err == nil, podRefused(n.Err):
		return n, n.Err
	case pod.NotDone(n.Err):
		return n, a.abandon(ctx, in, n.Err)
	}
	return n, unknown(n.Err)
}

// unzoned is what Nova calls hosts that are in no zone. Its manual advises never
// to ask for it by name: a host leaves it for the zone of an aggregate.
const unzoned = "nova"

// podZone is the pod's word for the zone. Without a wish the pod's own default
// holds, unless the pod's row says which part of the pod is ours.
func (j *job) podZone() string {
	if j.wish.Zone.Name == "" && j.wish.Zone.Host == "" && j.wish.Zone.Node == "" && j.pod.PodZone == unzoned {
		return ""
	}
	return j.pod.PodZone
}

// begin writes the journal and makes the server's own ports. It returns all its
// ports, in the order of its interfaces.
func (a *api) begin(ctx context.Context, j *job, in store.Intent) ([]topology.Port, error) {
	specs, err := portSpecs(j.by, j.nics, j.groups)
	if err != nil {
		return nil, err
	}
	for _, n := range j.nics {
		if n.Port != nil {
			in.Ports = append(in.Ports, n.Port.ID)
		}
	}
	made, err := a.Store.Begin(ctx, in, specs...)
	if f, ok := faultOf(err); ok && f.Code == quota.CodeVolumes && a.Reconciler.CountAnew(ctx, in.ProjectID) {
		made, err = a.Store.Begin(ctx, in, specs...)
	}
	if err != nil {
		return nil, a.portFault(ctx, err, specs)
	}
	ports := make([]topology.Port, 0, len(j.nics))
	for _, n := range j.nics {
		if n.Port != nil {
			ports = append(ports, *n.Port)
			continue
		}
		ports, made = append(ports, made[0]), made[1:]
	}
	return ports, nil
}

// placePorts brings the ports, with all they stand on, into the pod.
func (a *api) placePorts(ctx context.Context, j *job, ports []topology.Port) ([]podPort, error) {
	placed := make([]podPort, 0, len(ports))
	for i, p := range ports {
		id, err := a.placePort(ctx, p, j.pod.Name)
		if err != nil {
			return nil, err
		}
		placed = append(placed, podPort{ID: id, Tag: j.nics[i].Tag})
	}
	return placed, nil
}

// placePort returns the pod's ID of the port once the port is right there.
func (a *api) placePort(ctx context.Context, p topology.Port, podName string) (string, error) {
	target := store.Target{Kind: store.KindPort, ID: p.ID, Pod: podName}
	if _, err := a.Store.Want(ctx, p.ProjectID, target); err != nil {
		return "", err
	}
	if err := a.Reconciler.Ensure(ctx, target, nil); err != nil {
		return "", err
	}
	m, err := a.Store.FindMapping(ctx, target)
	if err != nil {
		return "", err
	}
	if m.PodID == "" {
		return "", fault.New(fault.Unavailable, "", "port %s has gone from pod %s", p.ID, podName)
	}
	return m.PodID, nil
}

// post asks the pod for the server. A key pair that the pod does not have (the
// pod is new, or was away when the key was made) is brought there first, and a
// quota of the pod's own that is in the way is lifted.
func (a *api) post(ctx context.Context, j *job, body []byte) answer {
	q := question{Method: http.MethodPost, Path: "/servers", Query: j.request.URL.Query(), Body: body, Version: j.wish.spoken(len(j.nics)), Op: "create server"}
	n := a.ask(ctx, j.by, j.pod.Name, q)
	if a.cured(ctx, j.by.ProjectID, j.pod.Name, n.Err) {
		n = a.ask(ctx, j.by, j.pod.Name, q)
	}
	key, _ := j.wish.text("key_name")
	if key != "" && fault.Is(n.Err, fault.Invalid) && strings.Contains(n.Err.Error(), "Invalid key_name") &&
		a.bringKey(ctx, j.by, key, j.pod.Name) {
		n = a.ask(ctx, j.by, j.pod.Name, q)
	}
	return n
}

// unknown is the error for a creation whose outcome only the pod knows. The
// intent's job finds out and either takes the server over or frees its ports.
func unknown(err error) error {
	f, ok := faultOf(err)
	if !ok {
		return err
	}
	said := *f
	if said.Kind != fault.Timeout {
		said.Kind = fault.Unavailable
	}
	said.Message += "; whether the server was created is being found out: look for it before trying again"
	return &said
}

// abandon ends a creation that made no server.
func (a *api) abandon(ctx context.Context, in store.Intent, cause error) error {
	return a.end(ctx, in, cause, a.Store.Abandon)
}

func (a *api) end(ctx context.Context, in store.Intent, cause error, how func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := how(ctx, in.ID); err != nil {
		// The intent's job does it later.
		a.Log.ErrorContext(ctx, "cannot end a failed creation", "intent", in.ID, "pod", in.Pod, "error", err)
	}
	return cause
}

// settle records the server and makes the reply. A failure to record is not the
// client's: the server exists, and the intent's job records it.
func (a *api) settle(ctx context.Context, j *job, in store.Intent, n answer) (string, *gateway.Reply, error) {
	id := gjson.GetBytes(n.Body, "server.id").Str
	var err error
	if id == "" && gjson.GetBytes(n.Body, "reservation_id").Exists() {
		id, err = a.reserved(ctx, j, in)
	}
	if id == "" {
		if err == nil {
			err = errors.New("no ID in it")
		}
		return "", nil, unknown(&fault.Error{Kind: fault.Unavailable, Pod: n.Pod, Err: err,
			Message: "create server: the answer is not the JSON that was expected"})
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = a.Store.Settle(ctx, in.ID, store.Entry{
		Kind: store.KindServer, ID: id, Pod: in.Pod, ProjectID: in.ProjectID, UserID: in.UserID, Name: in.Name, Zone: in.Zone,
		Status: "BUILD", CreatedAt: a.Now().UTC(),
	})
	if err != nil {
		a.Log.ErrorContext(ctx, "cannot record a server", "server", id, "intent", in.ID, "pod", in.Pod, "error", err)
	}
	return id, a.created(j, id, n), nil
}

// reserved finds the server behind a reservation, whose reply does not name it.
func (a *api) reserved(ctx context.Context, j *job, in store.Intent) (string, error) {
	n := a.ask(ctx, j.by, j.pod.Name, question{Method: http.MethodGet, Path: "/servers/detail", Version: versionOf(j.request), Op: "list servers",
		Query: url.Values{"name": {"^" + quoteRegexp(in.Name) + "$"}, "sort_key": {"created_at"}, "sort_dir": {"desc"}}})
	if n.Err != nil {
		return "", n.Err
	}
	for _, s := range gjson.GetBytes(n.Body, "servers").Array() {
		if s.Get("metadata."+markKey).Str == in.ID {
			return s.Get("id").Str, nil
		}
	}
	return "", io.EOF
}

// created is the pod's reply as ours. Nova repeats the groups asked for; the pod
// was asked for none.
func (a *api) created(j *job, id string, n answer) *gateway.Reply {
	v := a.viewOf(j.request, n.Pod)
	header := http.Header{"X-Tricircle-Pod": {n.Pod}}
	if request := n.Header.Get(requestIDHeader); request != "" {
		header.Set(requestIDHeader, request)
	}
	if gjson.GetBytes(n.Body, "server").Exists() {
		header.Set("Location", v.root("self")+"/servers/"+id)
	}
	body := v.document(n.Body)
	if groups := gjson.GetBytes(body, "server.security_groups"); groups.Exists() && len(j.wish.Groups) > 0 {
		body = gateway.Splice(body, []gateway.Edit{gateway.Instead(groups, string(groupNames(j.wish.Groups)))})
	}
	return &gateway.Reply{Status: n.Status, Header: header, Body: body}
}

func groupNames(names []string) json.RawMessage {
	list := make([]map[string]string, 0, len(names))
	for _, name := range names {
		list = append(list, map[string]string{"name": name})
	}
	return mustJSON(list)
}
