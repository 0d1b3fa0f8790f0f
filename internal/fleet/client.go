package fleet

import (
	"context"

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
