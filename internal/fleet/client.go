package fleet

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/alias"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// held is a client with what it was made from, so that it is made anew when that
// changes. A client carries the breaker and the login: it must live on otherwise.
type held struct {
	client  *pod.Client
	account *pod.Account
	key     clientKey
}

type clientKey struct{ region, cloud, iface string }

// Client is the pod's client, the same one until the pod's region, credentials or
// interface change; fault.NotFound when there is no such pod.
func (f *Fleet) Client(ctx context.Context, name string) (*pod.Client, error) {
	h, err := f.held(ctx, name)
	return h.client, err
}

// Account is the account that Tricircle uses in the pod.
func (f *Fleet) Account(ctx context.Context, name string) (*pod.Account, error) {
	h, err := f.held(ctx, name)
	return h.account, err
}

func (f *Fleet) held(ctx context.Context, name string) (held, error) {
	row, err := f.Pod(ctx, name)
	if err != nil {
		return held{}, err
	}
	key := clientKey{row.Region, row.Cloud, row.Interface}

	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.clients[name]; ok && h.key == key {
		return h, nil
	}
	h, err := f.open(row)
	if err != nil {
		return held{}, err
	}
	if old, ok := f.clients[name]; ok {
		old.client.Close() // idle connections only: requests under way end well
		f.releases.Forget(name)
	}
	f.clients[name] = h
	return h, nil
}

// open makes a client; it reads the credentials but does not log in yet.
func (f *Fleet) open(row store.Pod) (held, error) {
	account := f.own
	if row.Cloud != "" {
		o, err := f.credentials(row.Cloud)
		if err != nil {
			return held{}, &fault.Error{Kind: fault.Unavailable, Pod: row.Name, Err: err,
				Message: "cannot read the credentials " + row.Cloud}
		}
		o.Region, o.Interface = row.Region, row.Interface
		account = pod.NewAccount(o)
	}
	o := f.client
	o.Name, o.Region, o.Interface, o.Account = row.Name, row.Region, row.Interface, account
	return held{client: pod.New(o), account: account, key: clientKey{row.Region, row.Cloud, row.Interface}}, nil
}

// around does a request to a pod in the version, and with the IDs, that the pod knows.
func (f *Fleet) around(ctx context.Context, c *pod.Client, r pod.Request, do pod.Doer) (*http.Response, error) {
	return f.releases.Around(ctx, c, r, func(ctx context.Context, r pod.Request) (*http.Response, error) {
		return f.aliases.Around(ctx, c, r, do)
	})
}

func (f *Fleet) pairs(ctx context.Context, podName string, after int64) ([]alias.Pair, error) {
	all, err := f.store.AliasesAfter(ctx, podName, after)
	pairs := make([]alias.Pair, 0, len(all))
	for _, a := range all {
		pair := alias.Pair{ID: a.ID, PodID: a.PodID, Seq: a.Seq}
		if store.Named(a.Kind) { // all those are Block Storage's
			pair.Service = pod.Volume
		}
		pairs = append(pairs, pair)
	}
	return pairs, err
}

// MessageBus is the URL of the pod's message bus; fault.Unavailable when its operator
// has not granted it.
func (f *Fleet) MessageBus(ctx context.Context, name string) (pod.Secret, error) {
	row, err := f.Pod(ctx, name)
	if err != nil {
		return "", err
	}
	if row.MessageBus == "" || f.secret == nil {
		return "", &fault.Error{Kind: fault.Unavailable, Pod: name, Message: "no message bus is granted"}
	}
	url, err := f.secret(row.MessageBus)
	if err != nil {
		return "", &fault.Error{Kind: fault.Unavailable, Pod: name, Err: err, Message: "cannot read the address of the message bus"}
	}
	return url, nil
}
