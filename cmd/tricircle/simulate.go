package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// simulate runs clouds in memory, for a demonstration without real ones.
func simulate(ctx context.Context, dir string, n int, ready func(cloudsFile string)) error {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("pod%d", i+1)
	}
	cloud, err := podtest.Start(podtest.Options{Pods: names})
	if err != nil {
		return err
	}
	defer cloud.Close()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(dir, "clouds.yaml")
	if err := cloud.WriteClouds(file); err != nil {
		return err
	}
	ready(file)
	<-ctx.Done()
	return nil
}
