package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/seal"
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
	f := topology.Fabric{DefaultType: n.DefaultType, MACPrefix: n.MACPrefix, MTU: n.MTU, ExternalPod: n.ExternalPod}
	for _, name := range slices.Sorted(maps.Keys(n.PhysicalNetworks)) {
		p := topology.PhysicalNetwork{Name: name, Flat: n.PhysicalNetworks[name].Flat}
		for _, r := range n.PhysicalNetworks[name].VLAN {
			p.VLANs = append(p.VLANs, topology.SegmentRange{Min: r.First, Max: r.Last})
		}
		f.Physical = append(f.Physical, p)
	}
	for _, r := range n.VXLAN.VNI {
		f.VNIs = append(f.VNIs, topology.SegmentRange{Min: r.First, Max: r.Last})
	}
	f.Bridge = topology.Bridges{Type: n.Bridge.NetworkType, Physical: n.Bridge.PhysicalNetwork, Prefix: n.Bridge.Prefix, Prefix6: n.Bridge.Prefix6}
	for _, r := range n.Bridge.VLAN {
		f.Bridge.VLANs = append(f.Bridge.VLANs, topology.SegmentRange{Min: r.First, Max: r.Last})
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

// sealKey is the operator's key, else one that all replicas make of the secret that
// they have in common.
func sealKey(c config.Config, own pod.AccountOptions, getenv func(string) string) (seal.Key, error) {
	if c.SecretKey == "" {
		return seal.NewKey(string(own.Password) + "\x00" + string(own.ApplicationCredentialSecret)), nil
	}
	secret, err := pod.LoadSecret(c.SecretKey, getenv)
	if err == nil && secret == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return seal.Key{}, fmt.Errorf("cannot read the key of what is sealed in the database (secret_key): %w", err)
	}
	return seal.NewKey(string(secret)), nil
}
