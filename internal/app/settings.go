package app

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/topology"
)

// NewLog is the log that the configuration asks for.
func NewLog(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // Validate has refused anything else
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// makeDir makes the folder of an embedded database. It holds tenants' data:
// nobody else may look into it.
func makeDir(c config.Config) error {
	file, ok := strings.CutPrefix(c.Database, "sqlite:")
	if !ok {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot make the data directory (data_dir): %w", err)
	}
	return nil
}

// fabric is what the configuration says about networks, in the topology's words.
func fabric(n config.Networks) topology.Fabric {
	f := topology.Fabric{DefaultType: n.DefaultType, MACPrefix: n.MACPrefix, MTU: n.MTU}
	for _, name := range slices.Sorted(maps.Keys(n.PhysicalNetworks)) {
		p := topology.PhysicalNetwork{Name: name, Flat: n.PhysicalNetworks[name].Flat}
		for _, r := range n.PhysicalNetworks[name].VLAN {
			p.VLANs = append(p.VLANs, topology.VLANRange{Min: r.First, Max: r.Last})
		}
		f.Physical = append(f.Physical, p)
	}
	return f
}

// stockOf is what projects get in the Network API: Neutron's numbers, but where
// the configuration has others.
func stockOf(n config.Networks) (quota.Amounts, error) {
	stock := quota.Stock(quota.Network)
	for _, name := range slices.Sorted(maps.Keys(n.Quotas)) {
		if _, ok := stock[name]; !ok {
			return nil, fmt.Errorf("networks.quotas: %q is none of %s", name, strings.Join(quota.Resources(quota.Network), ", "))
		}
		stock[name] = n.Quotas[name]
	}
	return stock, nil
}
