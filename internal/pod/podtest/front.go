package podtest

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// The names of the services, in faults and calls.
const (
	Identity = "identity"
	Compute  = "compute"
	Network  = "network"
	Volume   = "volume"
	Image    = "image"
)

// front is the listener of one service. It can go away and come back at the
// same address.
type front struct {
	handler http.Handler
	faults  *faults
	addr    string

	mu     sync.Mutex
	server *http.Server
	done   chan struct{}
}

func newFront(service string, next http.Handler, quit <-chan struct{}) (*front, error) {
	return sharedFront(service, next, &faults{}, quit)
}

func sharedFront(service string, next http.Handler, shared *faults, quit <-chan struct{}) (*front, error) {
	f := &front{faults: shared, handler: shared.wrap(service, next, quit)}
	l, err := anyPort()
	if err != nil {
		return nil, err
	}
	f.addr = l.Addr().String()
	f.serve(l)
	return f, nil
}

// anyPort listens below the range that the kernel gives to clients, so that
// nobody takes the port while the service is down.
func anyPort() (net.Listener, error) {
	for range 50 {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

func (f *front) url() string { return "http://" + f.addr }

func (f *front) serve(l net.Listener) {
	server := &http.Server{Handler: f.handler, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	f.server, f.done = server, done
	go func() {
		defer close(done)
		_ = server.Serve(l) // always ErrServerClosed
	}()
}

// down refuses connections and cuts those that are open.
func (f *front) down() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server == nil {
		return
	}
	_ = f.server.Close() // closing a listener that is ours
	<-f.done
	f.server = nil
}

func (f *front) up() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server != nil {
		return nil
	}
	var err error
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		var l net.Listener
		if l, err = net.Listen("tcp", f.addr); err == nil {
			f.serve(l)
			return nil
		}
	}
	return errors.Join(fmt.Errorf("cannot listen again on %s", f.addr), err)
}

func (f *front) mustUp() {
	if err := f.up(); err != nil {
		panic("podtest: " + err.Error())
	}
}
