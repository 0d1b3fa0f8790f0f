package quota_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
)

func TestVolumeDefaults(t *testing.T) {
	t.Parallel()
	pods := []quota.Amounts{{"volumes": 20, "volumes_gold": -1, "strange": 5}, {"volumes": 10, "gigabytes_gold": 7}}
	want := quota.Stock(quota.Volume).With(quota.Amounts{"volumes": 20, "volumes_gold": -1, "gigabytes_gold": 7, "snapshots_tin": 3})
	if diff := cmp.Diff(want, quota.Defaults(quota.Volume, quota.Amounts{"snapshots_tin": 3}, pods)); diff != "" {
		t.Errorf("Defaults (-want +got):\n%s", diff)
	}
}

// TestTake: the words are those of cinder's exceptions, with the name in front that
// its fault wrapper puts there.
func TestTake(t *testing.T) {
	t.Parallel()
	limits := quota.Amounts{"volumes": 2, "gigabytes": 10, "snapshots": 1, "backups": 1, "backup_gigabytes": 5, "groups": 0,
		"per_volume_gigabytes": 8, "volumes_gold": 1, "gigabytes_gold": 3, "snapshots_gold": -1}
	for name, tt := range map[string]struct {
		used, more quota.Amounts
		want       string
	}{
		"fits":            {nil, quota.OneVolume(3, "gold"), ""},
		"no such type":    {nil, quota.OneVolume(8, "tin"), ""},
		"too large":       {nil, quota.OneVolume(9, ""), "VolumeSizeExceedsLimit: Requested volume size 9G is larger than maximum allowed limit 8G."},
		"too many":        {quota.Amounts{"volumes": 2}, quota.OneVolume(1, ""), "VolumeLimitExceeded: Maximum number of volumes allowed (2) exceeded for quota 'volumes'."},
		"too many of one": {quota.Amounts{"volumes_gold": 1}, quota.OneVolume(1, "gold"), "VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded for quota 'volumes_gold'."},
		"gigabytes first": {quota.Amounts{"volumes": 2, "gigabytes": 8}, quota.OneVolume(3, ""),
			"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 3G, quota is 10G and 8G has been consumed."},
		"of one type": {nil, quota.OneVolume(4, "gold"),
			"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes_gold quota. Requested 4G, quota is 3G and 0G has been consumed."},
		"snapshot": {quota.Amounts{"snapshots": 1}, quota.OneSnapshot(1, "gold"), "SnapshotLimitExceeded: Maximum number of snapshots allowed (1) exceeded"},
		"backup":   {quota.Amounts{"backups": 1}, quota.OneBackup(1), "BackupLimitExceeded: Maximum number of backups allowed (1) exceeded"},
		"large backup": {quota.Amounts{"backup_gigabytes": 2}, quota.OneBackup(4),
			"VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. Requested 4G, quota is 5G and 2G has been consumed."},
		"group":  {nil, quota.Amounts{"groups": 1}, "GroupLimitExceeded: Maximum number of groups allowed (0) exceeded"},
		"extend": {quota.Amounts{"gigabytes": 9}, quota.LargerVolume(5, 7, ""), "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 2G, quota is 10G and 9G has been consumed."},
		"retype": {quota.Amounts{"volumes_gold": 1}, quota.Amounts{"volumes_gold": 1}, "UnexpectedOverQuota: Unexpected over quota on volumes_gold."},
	} {
		err := quota.Take(quota.Scope{Limits: limits, Used: tt.used}, tt.more)
		if tt.want == "" && err != nil || tt.want != "" && (!fault.Is(err, fault.OverQuota) || err.Error() != tt.want) {
			t.Errorf("%s: Take = %v, want %q", name, err, tt.want)
		}
	}
}
