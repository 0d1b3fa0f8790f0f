package compute

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// externalEvents is "POST /os-server-external-events": each event goes to the pod
// of its server, and the answer holds all of them in their order. Those for servers
// that nobody knows go to any one pod, which says so of each.
func (a *api) externalEvents(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	events := gjson.GetBytes(body, "events").Array()
	wellFormed := func(e gjson.Result) bool { return e.IsObject() && uuid.Validate(e.Get("server_uuid").Str) == nil }
	if !gjson.ValidBytes(body) || len(events) == 0 || slices.ContainsFunc(events, func(e gjson.Result) bool { return !wellFormed(e) }) {
		return a.toSomePod(ctx, by, r) // to be refused
	}
	b, err := a.sortEvents(ctx, by, events)
	if err != nil {
		return nil, err
	}
	for _, n := range a.sendEvents(ctx, by, r, b) {
		if err := b.fill(n); err != nil {
			return nil, err
		}
	}
	return b.reply()
}

// eventBatch is the events of one request, each with its pod.
type eventBatch struct {
	events   []gjson.Result
	pods     map[string][]int // pod to the events for it
	results  []json.RawMessage
	codes    []int64
	away     []string
	troubles []error
}

// sortEvents finds the pods. An event whose server may be in a pod that is away
// has failed already.
func (a *api) sortEvents(ctx context.Context, by identity.Caller, events []gjson.Result) (*eventBatch, error) {
	names, err := a.podNames(ctx)
	if err != nil {
		return nil, err
	}
	b := &eventBatch{events: events, pods: map[string][]int{}, results: make([]json.RawMessage, len(events)), codes: make([]int64, len(events))}
	pods, errs := a.serverPods(ctx, by, events)
	var unknown []int
	for i, e := range events {
		id := e.Get("server_uuid").Str
		switch err := errs[id]; {
		case err == nil:
			b.pods[pods[id]] = append(b.pods[pods[id]], i)
		case fault.Is(err, fault.NotFound):
			unknown = append(unknown, i)
		case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Timeout):
			b.fail(i, err, "")
		default:
			return nil, err
		}
	}
	if len(unknown) > 0 {
		some := names[0]
		for name := range b.pods {
			some = name
		}
		b.pods[some] = append(b.pods[some], unknown...)
	}
	return b, nil
}

// serverPods finds the pods of the servers that events name, some at a time.
func (a *api) serverPods(ctx context.Context, by identity.Caller, events []gjson.Result) (pods map[string]string, errs map[string]error) {
	pods, errs = map[string]string{}, map[string]error{}
	var ids []string
	for _, e := range events {
		ids = append(ids, e.Get("server_uuid").Str)
	}
	slices.Sort(ids)
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, id := range slices.Compact(ids) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			podName, err := a.Dispatch.Locate(ctx, by, store.KindServer, id)
			mu.Lock()
			defer mu.Unlock()
			pods[id], errs[id] = podName, err
		})
	}
	wg.Wait()
	return pods, errs
}

func (a *api) sendEvents(ctx context.Context, by identity.Caller, r *gateway.Request, b *eventBatch) []answer {
	names := make([]string, 0, len(b.pods))
	for name := range b.pods {
		names = append(names, name)
	}
	slices.Sort(names)
	return a.askThese(context.WithoutCancel(ctx), by, names, func(name string) question {
		list := make([]json.RawMessage, 0, len(b.pods[name]))
		for _, i := range b.pods[name] {
			list = append(list, json.RawMessage(b.events[i].Raw))
		}
		return question{
			Method: http.MethodPost, Path: r.Path(), Body: mustJSON(map[string]any{"events": list}), Version: versionOf(r), Op: "send events",
		}
	})
}

// fill takes a pod's answer in. A Nova of old answers 404 when it knows none of
// the servers; any other refusal is one of the request.
func (b *eventBatch) fill(n answer) error {
	mine := b.pods[n.Pod]
	switch {
	case n.Away():
		for _, i := range mine {
			b.fail(i, n.Err, n.Pod)
		}
		return nil
	case fault.Is(n.Err, fault.NotFound):
		for _, i := range mine {
			b.put(i, b.judged(i, http.StatusNotFound), http.StatusNotFound)
		}
		return nil
	case n.Err != nil:
		return n.Err
	}
	done := gjson.GetBytes(n.Body, "events").Array()
	for k, i := range mine {
		if k >= len(done) {
			b.fail(i, notExpectedEvents(n.Pod), n.Pod)
			continue
		}
		b.put(i, json.RawMessage(done[k].Raw), done[k].Get("code").Int())
	}
	return nil
}

func notExpectedEvents(podName string) error {
	return &fault.Error{Kind: fault.Unavailable, Pod: podName, Message: "cannot send events: the answer is not the JSON that was expected"}
}

func (b *eventBatch) put(i int, result json.RawMessage, code int64) {
	b.results[i], b.codes[i] = result, code
}

// fail says that nobody could be asked.
func (b *eventBatch) fail(i int, err error, podName string) {
	b.put(i, b.judged(i, http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	b.troubles = append(b.troubles, err)
	if podName != "" && !slices.Contains(b.away, podName) {
		b.away = append(b.away, podName)
	}
}

// judged is the event as Nova answers one that it did not take.
func (b *eventBatch) judged(i, code int) json.RawMessage {
	var event map[string]json.RawMessage
	if json.Unmarshal([]byte(b.events[i].Raw), &event) != nil {
		event = map[string]json.RawMessage{}
	}
	event["status"], event["code"] = mustJSON("failed"), mustJSON(code)
	return mustJSON(event)
}

// reply is 200 when every event was taken, and 207 when not.
func (b *eventBatch) reply() (*gateway.Reply, error) {
	if len(b.troubles) == len(b.events) {
		return nil, b.troubles[0]
	}
	status := http.StatusOK
	if slices.ContainsFunc(b.codes, func(code int64) bool { return code != http.StatusOK }) {
		status = http.StatusMultiStatus
	}
	return gateway.JSON(status, map[string]any{"events": b.results}).Without(b.away...), nil
}

// assistedSnapshot is "POST /os-assisted-volume-snapshots" and "DELETE
// /os-assisted-volume-snapshots/{id}", by which Cinder's drivers have Nova make
// snapshots: they go to the pod of the volume.
func (a *api) assistedSnapshot(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	volume := gjson.GetBytes(body, "snapshot.volume_id").Str
	if r.Method == http.MethodDelete {
		volume = gjson.Get(r.URL.Query().Get("delete_info"), "volume_id").Str
	}
	if uuid.Validate(volume) != nil {
		return a.toSomePod(ctx, by, r)
	}
	podName, err := a.Dispatch.Locate(ctx, by, store.KindVolume, volume)
	if fault.Is(err, fault.NotFound) {
		return a.toSomePod(ctx, by, r)
	}
	if err != nil {
		return nil, err
	}
	return a.pass(ctx, by, r, podName)
}
