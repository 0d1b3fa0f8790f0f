package quota

import (
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// perVolume is the largest size of one volume: a limit, not a sum.
const perVolume = "per_volume_gigabytes"

// CodeVolumes marks the refusals of Block Storage.
const CodeVolumes = "TooManyVolumes"

// perType are the resources of Block Storage that are also counted for each volume
// type by itself, as NAME_TYPE.
var perType = []string{"volumes", "gigabytes", "snapshots"}

// OfType reports whether the name is that of a resource of one volume type.
func OfType(name string) bool {
	_, ok := TypeOf(name)
	return ok
}

// TypeOf is the volume type of a resource of one alone; else ok is false.
func TypeOf(name string) (volumeType string, ok bool) {
	for _, of := range perType {
		if volumeType, ok = strings.CutPrefix(name, of+"_"); ok {
			return volumeType, true
		}
	}
	return "", false
}

// NoLimitsOf are the limits of a volume type at first: none.
func NoLimitsOf(volumeType string) Amounts {
	all := Amounts{}
	for _, of := range perType {
		all[of] = -1
	}
	return all.OnlyType(volumeType)
}

// Typed adds to the amounts what they are of the volume type alone. Without a
// type they stay as they are.
func (a Amounts) Typed(name string) Amounts {
	all := a.With(nil)
	if name == "" {
		return all
	}
	for _, of := range perType {
		if n, ok := a[of]; ok {
			all[of+"_"+name] = n
		}
	}
	return all
}

// OnlyType is what Typed adds; nothing without a type.
func (a Amounts) OnlyType(name string) Amounts {
	all := a.Typed(name)
	for of := range a {
		delete(all, of)
	}
	return all
}

// OneVolume is what a volume takes.
func OneVolume(gigabytes int64, volumeType string) Amounts {
	all := Amounts{"volumes": 1, "gigabytes": gigabytes}.Typed(volumeType)
	all[perVolume] = gigabytes
	return all
}

// OneSnapshot is what a snapshot takes: its volume's size, in its volume's type.
func OneSnapshot(gigabytes int64, volumeType string) Amounts {
	return Amounts{"snapshots": 1, "gigabytes": gigabytes}.Typed(volumeType)
}

// OneBackup is what a backup takes.
func OneBackup(gigabytes int64) Amounts {
	return Amounts{"backups": 1, "backup_gigabytes": gigabytes}
}

// LargerVolume is what a volume takes more when it is extended.
func LargerVolume(from, to int64, volumeType string) Amounts {
	more := Amounts{"gigabytes": to - from}.Typed(volumeType)
	more[perVolume] = to
	return more
}

// Sums are the amounts that add up, without the limits of single things.
func (a Amounts) Sums() Amounts {
	all := a.With(nil)
	delete(all, perVolume)
	return all
}

// Take checks that more fits, and refuses it in Cinder's words.
func Take(s Scope, more Amounts) error {
	names := s.over(more)
	for _, name := range names {
		if name == perVolume {
			return fault.New(fault.OverQuota, CodeVolumes, "VolumeSizeExceedsLimit: Requested volume size %dG is larger than maximum allowed limit %dG.",
				more[name], s.Limits[name])
		}
	}
	for _, name := range names {
		if strings.Contains(name, "gigabytes") {
			return s.tooLarge(name, more)
		}
		for _, what := range []string{"volumes", "snapshots", "backups", "groups"} {
			if _, ok := more[what]; ok && strings.Contains(name, what) {
				return s.tooMany(name, what)
			}
		}
	}
	if len(names) > 0 { // a retype, which is about one type alone
		return fault.New(fault.OverQuota, CodeVolumes, "UnexpectedOverQuota: Unexpected over quota on %s.", strings.Join(names, ", "))
	}
	return nil
}

func (s Scope) tooLarge(name string, more Amounts) error {
	if name == "backup_gigabytes" {
		return fault.New(fault.OverQuota, CodeVolumes, "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. "+
			"Requested %dG, quota is %dG and %dG has been consumed.", more[name], s.Limits[name], s.Used[name])
	}
	return fault.New(fault.OverQuota, CodeVolumes, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed %s quota. "+
		"Requested %dG, quota is %dG and %dG has been consumed.", name, more[name], s.Limits[name], s.Used[name])
}

func (s Scope) tooMany(name, what string) error {
	limit := s.Limits[name]
	if what == "volumes" {
		return fault.New(fault.OverQuota, CodeVolumes, "VolumeLimitExceeded: Maximum number of volumes allowed (%d) exceeded for quota '%s'.", limit, name)
	}
	words := map[string]string{"snapshots": "SnapshotLimitExceeded", "backups": "BackupLimitExceeded", "groups": "GroupLimitExceeded"}
	return fault.New(fault.OverQuota, CodeVolumes, "%s: Maximum number of %s allowed (%d) exceeded", words[what], what, limit)
}
