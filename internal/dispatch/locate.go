package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// NotYet is the code of the error about a server that its pod has not made yet.
const NotYet = "NotYet"

// maxAnswer bounds one pod's answer to one question.
const maxAnswer = 64 << 20

// finding is a thing as its pod shows it.
type finding struct {
	pod string
	raw []byte
}

// Locate finds the pod that has the thing: by the index, else by asking all pods
// with the caller's own token. fault.NotFound when all pods say no;
// fault.Unavailable, with their names, when those that did not answer may have
// it. The index is no proof that the caller may see the thing: the pod decides.
func (d *Dispatcher) Locate(ctx context.Context, by identity.Caller, kindName, id string) (string, error) {
	if name, err := d.mapped(ctx, kindName, id); err != nil || name != "" {
		return name, err
	}
	if err := d.absences.check(by, kindName, id); err != nil {
		return "", err
	}
	found, err := d.search(ctx, by, kindName, id, nil)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			d.absences.note(by, kindName, id)
		}
		return "", err
	}
	d.record(ctx, by, kindName, found)
	return found[0].pod, nil
}

// Holders finds all pods that have the thing (images). away are pods that did not
// answer; with none found the rules of Locate hold.
func (d *Dispatcher) Holders(ctx context.Context, by identity.Caller, kindName, id string) (holders []string, away []Trouble, err error) {
	answers, err := d.askFor(ctx, by, kindName, id, nil)
	if err != nil {
		return nil, nil, err
	}
	found, away := sift(answers)
	if len(found) == 0 {
		return nil, away, notFound(kindName, id, away)
	}
	d.record(ctx, by, kindName, found)
	for _, f := range found {
		holders = append(holders, f.pod)
	}
	return holders, away, nil
}

// Gone forgets a thing that its pod no longer has.
func (d *Dispatcher) Gone(ctx context.Context, kindName, id string) {
	if err := d.Index.DropEntry(ctx, kindName, id); err != nil && !fault.Is(err, fault.NotFound) {
		d.Log.Warn("cannot forget", "kind", kindName, "id", id, "error", err)
	}
}

// Seen records a thing that a pod has just shown or made.
func (d *Dispatcher) Seen(ctx context.Context, by identity.Caller, kindName, podName string, raw []byte) {
	d.record(ctx, by, kindName, []finding{{podName, raw}})
	d.absences.clear(by, kindName, raw)
}

func (d *Dispatcher) mapped(ctx context.Context, kindName, id string) (string, error) {
	mappings, err := d.Index.ListMappings(ctx, store.MappingQuery{Kind: kindName, ID: id})
	if err != nil {
		return "", fmt.Errorf("cannot find %s %s: %w", kindName, id, err)
	}
	for _, m := range mappings {
		if m.PodID != "" {
			return m.Pod, nil
		}
		if kindName == store.KindServer {
			return "", fault.New(fault.Conflict, NotYet, "Instance %s is still on its way into pod %s", id, m.Pod)
		}
	}
	return "", nil
}

// find is the thing as its pod shows it to the caller.
func (d *Dispatcher) find(ctx context.Context, by identity.Caller, kindName, id string) (finding, error) {
	name, err := d.mapped(ctx, kindName, id)
	if err != nil {
		return finding{}, err
	}
	var pods []string
	if name != "" {
		pods = []string{name}
	}
	found, err := d.search(ctx, by, kindName, id, pods)
	if err != nil {
		return finding{}, err
	}
	return found[0], nil
}

func (d *Dispatcher) search(ctx context.Context, by identity.Caller, kindName, id string, pods []string) ([]finding, error) {
	answers, err := d.askFor(ctx, by, kindName, id, pods)
	if err != nil {
		return nil, err
	}
	found, away := sift(answers)
	if len(found) == 0 {
		return nil, notFound(kindName, id, away)
	}
	return found, nil
}

// answer is what one pod said.
type answer struct {
	finding
	err error // nil and raw nil: the pod does not have it
}

func (d *Dispatcher) askFor(ctx context.Context, by identity.Caller, kindName, id string, pods []string) ([]answer, error) {
	k, ok := kinds[kindName]
	if !ok {
		return nil, fmt.Errorf("no way to look for a %s", kindName)
	}
	if id == "" || strings.ContainsAny(id, "/?#") {
		return nil, notFound(kindName, id, nil)
	}
	q := pod.Request{Service: k.service, Method: http.MethodGet, Path: k.path + url.PathEscape(id), As: &by, Op: "look for " + kindName}
	if k.version != "" {
		q.Header = http.Header{"Openstack-Api-Version": {"volume " + k.version}}
	}
	replies, err := d.All(ctx, pods, q)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(replies))
	for i, r := range replies {
		a := answer{finding: finding{pod: r.Pod}}
		switch {
		case r.Err == nil:
			a.raw = k.object(r.Body)
		case r.Status == http.StatusNotFound, r.Status == http.StatusBadRequest:
		default:
			a.err = r.Err
		}
		answers[i] = a
	}
	return answers, nil
}

func sift(answers []answer) (found []finding, away []Trouble) {
	for _, a := range answers {
		if a.err != nil {
			away = append(away, Trouble{a.pod, a.err})
			continue
		}
		if len(a.raw) > 0 {
			found = append(found, a.finding)
		}
	}
	return found, away
}

func notFound(kindName, id string, away []Trouble) error {
	if len(away) == 0 {
		return fault.New(fault.NotFound, "", "%s", Absent(kindName, id))
	}
	texts := make([]string, len(away))
	errs := make([]error, len(away))
	for i, t := range away {
		texts[i], errs[i] = describe(t), t.Err
		if fault.Is(t.Err, fault.Unauthenticated) {
			return t.Err // the token ended on the way
		}
	}
	return &fault.Error{
		Kind: fault.Unavailable, Err: errors.Join(errs...),
		Message: fmt.Sprintf("cannot find %s %s: %s", kindName, id, strings.Join(texts, "; ")),
	}
}

// Absent is how the services' 404s say that there is no such thing.
func Absent(kindName, id string) string {
	title := strings.ToUpper(kindName[:1]) + kindName[1:]
	switch kindName {
	case store.KindServer:
		title = "Instance"
	case KindAttachment:
		return fmt.Sprintf("Volume attachment could not be found with filter: attachment_id = %s.", id)
	case KindConsistencyGroup:
		title = "Group"
	case KindGroupSnapshot, KindCGSnapshot:
		title = "GroupSnapshot"
	}
	return fmt.Sprintf("%s %s could not be found.", title, id)
}

func (d *Dispatcher) record(ctx context.Context, by identity.Caller, kindName string, found []finding) {
	pods, err := d.Pods(ctx)
	if err != nil {
		return
	}
	var entries []store.Entry
	for _, f := range found {
		zone := ""
		for _, p := range pods {
			if p.Name == f.pod {
				zone = p.Zone
			}
		}
		if e, ok := EntryOf(kindName, f.raw, f.pod, zone, by); ok {
			entries = append(entries, e)
		}
	}
	if err := d.Index.Record(ctx, entries...); err != nil {
		d.Log.Warn("cannot record", "kind", kindName, "error", err)
	}
}

// Answer is one pod's answer to a question that all get.
type Answer struct {
	Pod    string
	Status int // 0: none
	Header http.Header
	Asked  *url.URL
	Body   []byte // of an answer below 400
	Err    error  // no answer, or 400 and above
}

// All asks the pods (nil: all of them) the same, in parallel, and waits for each
// no longer than the dispatcher's timeout. The answers are in order of names.
func (d *Dispatcher) All(ctx context.Context, pods []string, r pod.Request) ([]Answer, error) {
	names, err := d.names(ctx, pods)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { answers[i] = d.One(ctx, name, r) })
	}
	wg.Wait()
	return answers, nil
}

// Away reports whether the pod gave no answer of its own: it is away, or too old to
// be asked this.
func (a Answer) Away() bool {
	return fault.Is(a.Err, fault.NotAcceptable) && pod.NotSent(a.Err) || fault.Is(a.Err, fault.Unavailable) || fault.Is(a.Err, fault.Timeout) || a.Err != nil && fault.KindOf(a.Err) == fault.Internal
}

// One asks one pod, and waits for it no longer than the dispatcher's timeout.
func (d *Dispatcher) One(ctx context.Context, name string, r pod.Request) Answer {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	return d.Ask(ctx, name, r)
}

// Ask asks one pod, reads its answer, and waits as long as the pod's client does:
// for changes, which go on in the pod whether somebody waits or not.
func (d *Dispatcher) Ask(ctx context.Context, name string, r pod.Request) Answer {
	a := Answer{Pod: name}
	client, err := d.Client(ctx, name)
	if err != nil {
		a.Err = err
		return a
	}
	resp, err := client.Do(ctx, r)
	if err != nil {
		a.Err = err
		return a
	}
	defer resp.Body.Close()
	a.Status, a.Header = resp.StatusCode, resp.Header
	if resp.Request != nil {
		a.Asked = resp.Request.URL
	}
	if resp.StatusCode >= 400 {
		a.Err = pod.Upstream(name, r.Op, resp)
		return a
	}
	if a.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1)); err != nil || len(a.Body) > maxAnswer {
		a.Err = &fault.Error{Kind: fault.Unavailable, Pod: name, Message: "cannot " + r.Op + ": its answer broke off", Err: err}
	}
	return a
}

// absences remembers for a moment what nobody has: clients that wait for a
// deletion ask again and again, and each question would go to all pods.
type absences struct {
	now  func() time.Time
	mu   sync.Mutex
	held map[absence]time.Time
}

type absence struct{ project, kind, id string }

const (
	absentFor  = 2 * time.Second
	absentKept = 10_000
)

func newAbsences(now func() time.Time) *absences {
	return &absences{now: now, held: map[absence]time.Time{}}
}

func (a *absences) check(by identity.Caller, kindName, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if until, ok := a.held[absence{by.ProjectID, kindName, id}]; ok && a.now().Before(until) {
		return notFound(kindName, id, nil)
	}
	return nil
}

func (a *absences) note(by identity.Caller, kindName, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.held) >= absentKept {
		clear(a.held)
	}
	a.held[absence{by.ProjectID, kindName, id}] = a.now().Add(absentFor)
}

func (a *absences) clear(by identity.Caller, kindName string, raw []byte) {
	e, ok := EntryOf(kindName, raw, "", "", by)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.held, absence{by.ProjectID, kindName, e.ID})
}
