// Command tricircle makes several OpenStack clouds look like one region.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tricircle/tricircle/internal/app"
	"github.com/tricircle/tricircle/internal/cli"
	"github.com/tricircle/tricircle/internal/config"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := cli.Program{Version: version, Stdout: os.Stdout, Stderr: os.Stderr, Serve: serve, Simulate: simulate}
	code := p.Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func serve(ctx context.Context, configFile string) error {
	c, err := config.Load(configFile, os.Environ())
	if err != nil {
		return err
	}
	a, err := app.New(ctx, app.Options{Config: c, Version: version})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
