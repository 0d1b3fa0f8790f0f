package compute

import (
	"context"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// bootVolumes are what the volumes take that the pod makes for each of the servers:
// they count in the region's quota from the journal entry on. A size that is not said
// is that of the snapshot.
func (a *api) bootVolumes(ctx context.Context, c *creation) quota.Amounts {
	all := quota.Amounts{}
	for _, field := range []string{"block_device_mapping", "block_device_mapping_v2"} {
		gjson.ParseBytes(c.server[field]).ForEach(func(_, device gjson.Result) bool {
			if !makesVolume(device) {
				return true
			}
			size := sizeOf(device.Get("volume_size"))
			if id := device.Get("uuid").Str + device.Get("snapshot_id").Str; size == 0 && id != "" {
				if e, err := a.Store.FindEntry(ctx, store.KindSnapshot, id); err == nil {
					size = e.Gigabytes
				}
			}
			for name, n := range quota.OneVolume(size, device.Get("volume_type").Str) {
				if name == "per_volume_gigabytes" {
					all[name] = max(all[name], n)
					continue
				}
				all[name] += n
			}
			return true
		})
	}
	if len(all) > 0 {
		a.Reconciler.LearnDefaults(ctx, quota.Volume)
	}
	return all
}

// makesVolume reports whether the device is a volume that there is not yet.
func makesVolume(device gjson.Result) bool {
	if device.Get("snapshot_id").Str != "" { // the old form
		return true
	}
	switch device.Get("source_type").Str {
	case "snapshot":
		return device.Get("destination_type").Str != "local"
	case "image", "blank":
		return device.Get("destination_type").Str == "volume"
	}
	return false
}

// sizeOf reads a number that may be in quotes; what is none is for Nova to refuse.
func sizeOf(v gjson.Result) int64 {
	n, err := strconv.ParseInt(v.String(), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
