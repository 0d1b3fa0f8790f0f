// Package app puts the program together. Tests run it in process.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/bus"
	"github.com/tricircle/tricircle/internal/policy"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/release"
	"github.com/tricircle/tricircle/internal/seal"
	"github.com/tricircle/tricircle/internal/store"
)

// Options are what New needs.
type Options struct {
	Config  config.Config
	Version string
	Getenv  func(string) string // for credentials; default os.Getenv
	Log     *slog.Logger        // default: as the configuration says, to stderr
	// IntentDelay is how long a creation may take before a job looks whether it
	// was left behind; 0: 15 s.
	IntentDelay time.Duration
}

const defaultIntentDelay = 15 * time.Second

// App is the program: it listens after New and serves during Run.
type App struct {
	config     config.Config
	log        *slog.Logger
	metrics    *prometheus.Registry
	account    *pod.Account
	store      *store.Store
	fleet      *fleet.Fleet
	policy     *policy.File
	dispatch   *dispatch.Dispatcher
	reconciler *reconcile.Reconciler
	key        seal.Key // of what waits in the database with somebody's token
	jobs       *jobs.Runner
	api, ops   *listener
}

// listener is a bound address with what is served there.
type listener struct {
	net.Listener
	server *http.Server
}

// New opens the store, migrating it, wires the parts and binds both addresses.
// It does not ask Keystone or a pod yet: they may be away while Tricircle starts.
func New(ctx context.Context, o Options) (_ *App, err error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Log == nil {
		o.Log = NewLog(o.Config.Log, os.Stderr)
	}
	if o.IntentDelay == 0 {
		o.IntentDelay = defaultIntentDelay
	}
	a := &App{config: o.Config, log: o.Log, metrics: newRegistry(o.Version)}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	own, err := pod.OwnCredentials(o.Config.Keystone, o.Getenv)
	if err != nil {
		return nil, err
	}
	a.account = pod.NewAccount(own)
	if a.key, err = sealKey(o.Config, own, o.Getenv); err != nil {
		return nil, err
	}
	if a.policy, err = policy.Open(o.Config.Networks.PolicyFile, policy.Neutron(), o.Log); err != nil {
		return nil, err
	}
	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	if err := a.wire(o); err != nil {
		return nil, err
	}
	if err := a.store.SpreadImages(ctx); err != nil { // images.copy may have changed
		return nil, err
	}
	if a.api, err = a.listen(ctx, o.Config.Listen, a.handler(o)); err != nil {
		return nil, err
	}
	a.ops, err = a.listen(ctx, o.Config.OperationsListen, a.operations())
	return a, err
}

func (a *App) openStore(ctx context.Context) (err error) {
	if err := makeDir(a.config); err != nil {
		return err
	}
	a.store, err = store.Open(ctx, store.Options{URL: a.config.Database, Log: a.log})
	if err != nil {
		return fmt.Errorf("cannot open the database %s: %w", a.config.RedactedDatabase(), err)
	}
	stock, err := stockOf(a.config.Networks)
	if err != nil {
		return err
	}
	a.store.SetStock(quota.Network, stock)
	a.store.SetImageMode(store.ImageMode(a.config.Images.Copy))
	return a.store.SetFabric(fabric(a.config.Networks))
}

// wire makes the parts between the store and the ways in.
func (a *App) wire(o Options) (err error) {
	a.fleet = fleet.New(fleet.Options{
		Store: a.store, Own: a.account, Log: a.log, Versions: versions(a.config.Compute),
		Credentials: a.credentials(o.Getenv),
		Secret:      func(ref string) (pod.Secret, error) { return pod.LoadSecret(ref, o.Getenv) },
		Client: pod.Options{
			Timeout: a.config.Pods.Timeout, ConnectTimeout: a.config.Pods.ConnectTimeout,
			MaxConcurrent: a.config.Pods.Concurrency, Metrics: newPodMetrics(a.metrics), Log: a.log,
		},
	})
	d := dispatch.OfFleet(a.fleet, a.store)
	d.Timeout, d.Patience, d.Strict, d.Log = a.config.Pods.ListTimeout, a.config.Pods.ListPatience, a.config.Pods.Unreachable == config.UnreachableError, a.log
	a.dispatch = dispatch.New(d)
	a.reconciler = reconcile.New(reconcile.Options{
		Store: a.store, Pods: a.fleet, Holder: holder(), Grace: a.config.Pods.Grace, Log: a.log, Bus: a.bus,
		Key:        a.key,
		KeepQuotas: a.config.Networks.PodQuotas == config.PodQuotasKeep,
		Bandwidth:  a.config.Images.Bandwidth, Web: a.config.Images.WebDownload,
	})
	a.store.SetVacate(a.reconciler.Vacate)
	a.jobs, err = jobs.New(jobs.Options{
		Store: a.store, Ensure: a.reconciler.Ensure, Log: a.log, Metrics: a.metrics,
		WorkersPerPod: a.config.Jobs.Workers, MaxWait: a.config.Jobs.MaxBackoff, IntentDelay: o.IntentDelay,
	})
	return err
}

// interconnectsAlive is well within Neutron's agent_down_time, 75 seconds.
const interconnectsAlive = 25 * time.Second

// bus connects to a pod's message bus, if its operator grants it.
func (a *App) bus(ctx context.Context, podName string) (reconcile.Bus, error) {
	url, err := a.fleet.MessageBus(ctx, podName)
	if err != nil {
		return nil, err
	}
	return bus.Dial(ctx, string(url))
}

// versions are the operator's bounds; what is not set is zero.
func versions(c config.Compute) release.Limits {
	low, _ := microversion.Parse(c.MinMicroversion)
	high, _ := microversion.Parse(c.MaxMicroversion)
	return release.Limits{Min: low, Max: high}
}

// credentials resolves the references to credentials that pods name.
func (a *App) credentials(getenv func(string) string) func(string) (pod.AccountOptions, error) {
	return func(ref string) (pod.AccountOptions, error) {
		return pod.LoadCredentials(ref, pod.Sources{CloudsFile: a.config.Keystone.CloudsFile, Getenv: getenv})
	}
}

// holder names this process in leases: no two are alike, also on one machine.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + uuid.NewString()
}

func (a *App) listen(ctx context.Context, address string, h http.Handler) (*listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return &listener{Listener: l, server: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: a.config.Limits.ReadTimeout,
		IdleTimeout:       a.config.Limits.IdleTimeout,
		MaxHeaderBytes:    int(a.config.Limits.Header),
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}}, nil
}

// URL is where the API is served.
func (a *App) URL() string { return "http://" + a.api.Addr().String() }

// OperationsURL is where metrics and health are served.
func (a *App) OperationsURL() string { return "http://" + a.ops.Addr().String() }

// Run serves until the context ends, then lets requests and jobs under way
// finish, up to the configured time, and closes everything.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	if err := a.jobs.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("cannot start the jobs: %w", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { a.dispatch.Run(background) })
	running.Go(func() { a.reconciler.RunCensus(background, a.config.Pods.Census) })
	running.Go(func() { a.reconciler.RunInterconnects(background, interconnectsAlive) })
	running.Go(func() { a.fleet.Run(background) })

	failed := make(chan error, 2)
	for _, l := range []*listener{a.api, a.ops} {
		running.Go(func() {
			if err := l.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	a.log.Info("serving", "api", a.URL(), "operations", a.OperationsURL(), "config", a.config)
	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case err = <-failed:
	}
	err = errors.Join(err, a.shutdown())
	stop()
	running.Wait()
	return err
}

// shutdown stops taking requests, waits for those under way, then for the jobs.
func (a *App) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), a.config.Limits.ShutdownTimeout)
	defer cancel()
	var errs []error
	for _, l := range []*listener{a.api, a.ops} {
		if err := l.server.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("requests were cut off: %w", err), l.server.Close())
		}
	}
	return errors.Join(append(errs, a.jobs.Stop(ctx))...)
}

// close frees what New took, as far as it got.
func (a *App) close() {
	for _, l := range []*listener{a.api, a.ops} {
		if l != nil {
			_ = l.Close() // closed already after a shutdown
		}
	}
	if a.store != nil {
		a.store.Close()
	}
}
