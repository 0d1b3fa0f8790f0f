package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/quota"
)

// counted are the tables of what quotas of the Network API count, each thing for
// the project that has it.
var counted = map[string]string{
	"network": "networks", "subnet": "subnets", "port": "ports", "router": "routers", "rbac_policy": "rbac_policies", "subnetpool": "subnetpools", "trunk": "trunks", "floatingip": "floating_ips",
	"security_group": "security_groups", "security_group_rule": "security_group_rules",
}

// SetStock says what the service gives projects without limits of their own.
// Until it is called the Network API gives anything.
func (s *Store) SetStock(service string, limits quota.Amounts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stocks = maps.Clone(s.stocks)
	if s.stocks == nil {
		s.stocks = map[string]quota.Amounts{}
	}
	s.stocks[service] = limits
}

func (s *Store) stock(service string) quota.Amounts {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if limits, ok := s.stocks[service]; ok || service != quota.Network {
		return limits
	}
	free := quota.Amounts{}
	for _, name := range quota.Resources(service) {
		free[name] = quota.Unlimited
	}
	return free
}

// admit lets the transaction make things of the kind, or refuses with
// fault.OverQuota. Those that admit for one project, where it has a limit, line up
// on a row until they end, so that no two count the same room.
func admit(ctx context.Context, tx *Tx, kind string, more map[string]int64) error {
	for _, project := range slices.Sorted(maps.Keys(more)) { // in one order: two requests must not wait for each other
		of := QuotaOf{Service: quota.Network, ProjectID: project}
		set, defaults, err := limitsTx(ctx, tx, of)
		if err != nil {
			return err
		}
		limit := defaults.With(set[""])[kind]
		if limit < 0 {
			continue
		}
		if err := lockQuota(ctx, tx, of.Service, project); err != nil {
			return err
		}
		var used int64
		err = tx.QueryRow(ctx, `SELECT count(*) FROM `+counted[kind]+` WHERE project_id = ?`, project).Scan(&used)
		if err != nil {
			return err
		}
		if used+more[project] > limit {
			return quota.Exceeded(kind)
		}
	}
	return nil
}

// perProject counts the things by who will have them.
func perProject[T any](all []T, project func(*T) string) map[string]int64 {
	more := map[string]int64{}
	for i := range all {
		more[project(&all[i])]++
	}
	return more
}

// NetworkUsed is how many things of each kind the project has.
func (s *Store) NetworkUsed(ctx context.Context, project string) (quota.Amounts, error) {
	var parts []string
	var args []any
	for _, kind := range slices.Sorted(maps.Keys(counted)) {
		parts = append(parts, `SELECT '', '`+kind+`', count(*) FROM `+counted[kind]+` WHERE project_id = ?`)
		args = append(args, project)
	}
	all, err := grouped(ctx, s.reader(), strings.Join(parts, "\nUNION ALL\n"), args...)
	return all[""], err
}

// QuotaSets are the limits that were set, by project.
func (s *Store) QuotaSets(ctx context.Context, service string) (map[string]quota.Amounts, error) {
	return grouped(ctx, s.reader(), `
		SELECT project_id, resource, value FROM quota_limits
		WHERE service = ? AND user_id = ''`, service)
}
