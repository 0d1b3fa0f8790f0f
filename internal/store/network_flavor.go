package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/topology"
)

// anybody sees all.
func anybody(string) []arm { return everything }

var networkFlavors = newRecord(record[topology.Flavor]{
	shape: shape{table: "network_flavors", missing: topology.NoFlavor, visible: anybody, anyMarker: true},
	load: func(ctx context.Context, tx *Tx, all []topology.Flavor) error {
		names, where := ids(all, func(f *topology.Flavor) string {
			f.Profiles = []string{}
			return f.ID
		})
		return details(ctx, tx, names, `SELECT flavor_id, profile_id FROM flavor_profiles WHERE flavor_id`, `ORDER BY flavor_id, profile_id`,
			func(row scanner) error {
				var flavor, profile string
				err := row.Scan(&flavor, &profile)
				where[flavor].Profiles = append(where[flavor].Profiles, profile)
				return err
			})
	},
	saved: func(_ context.Context, _ *Tx, before, after *topology.Flavor) error {
		if before == nil {
			after.Profiles = []string{}
		}
		return nil
	},
})

var serviceProfiles = newRecord(record[topology.ServiceProfile]{
	shape: shape{table: "service_profiles", missing: topology.NoServiceProfile, visible: anybody, anyMarker: true},
	check: func(ctx context.Context, tx *Tx, before, after *topology.ServiceProfile) error {
		if before == nil {
			return after.Check()
		}
		var used int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM flavor_profiles WHERE profile_id = ?`, before.ID).Scan(&used)
		if err == nil && used > 0 {
			err = topology.ServiceProfileInUse(before.ID)
		}
		return err
	},
})

// NetworkFlavors are the kinds of routers that there are to choose from.
func (s *Store) NetworkFlavors() NetworkFlavors {
	return NetworkFlavors{Records[topology.Flavor]{s, networkFlavors}}
}

// NetworkFlavors are Records with the profiles that flavors have.
type NetworkFlavors struct{ Records[topology.Flavor] }

// Delete deletes a flavor that no router has.
func (r NetworkFlavors) Delete(ctx context.Context, id string, allow func(*topology.Flavor) error) error {
	err := r.Records.Delete(ctx, id, allow)
	if dangling(err) {
		return topology.FlavorInUse(id)
	}
	return err
}

// AddProfile gives the flavor a profile.
func (r NetworkFlavors) AddProfile(ctx context.Context, flavor, profile string) error {
	err := r.store.write(ctx, func(tx *Tx) error {
		if _, err := serviceProfiles.find(ctx, tx, profile, ""); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO flavor_profiles (flavor_id, profile_id) VALUES (?, ?)`, flavor, profile)
		return err
	})
	switch {
	case duplicate(err):
		return topology.IsOfFlavor(flavor, profile)
	case dangling(err):
		return topology.NoFlavor(flavor) // deleted at this moment
	}
	return err
}

// RemoveProfile takes a profile from the flavor.
func (r NetworkFlavors) RemoveProfile(ctx context.Context, flavor, profile string) error {
	return r.store.write(ctx, func(tx *Tx) error {
		gone, err := affected(tx.Exec(ctx, `DELETE FROM flavor_profiles WHERE flavor_id = ? AND profile_id = ?`, flavor, profile))
		if err == nil && !gone {
			err = topology.NotOfFlavor(flavor, profile)
		}
		return err
	})
}

// ServiceProfiles are what flavors stand for.
func (s *Store) ServiceProfiles() Records[topology.ServiceProfile] {
	return Records[topology.ServiceProfile]{s, serviceProfiles}
}
