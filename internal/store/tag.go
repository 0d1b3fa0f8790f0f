package store

import (
	"context"
	"slices"
	"strings"
)

// Tagged names a kind of resource that can have tags.
type Tagged struct{ sh *shape }

// What can have tags: that of Neutron.
var (
	TaggedNetworks       = &Tagged{networkShape}
	TaggedSubnets        = &Tagged{subnetShape}
	TaggedPorts          = &Tagged{portShape}
	TaggedRouters        = &Tagged{routerShape}
	TaggedFloatingIPs    = &Tagged{floatingIPShape}
	TaggedSecurityGroups = &Tagged{groupShape}
	TaggedSubnetPools    = &Tagged{&poolRecord.shape}
)

// tagFilters are the filters that every resource with tags has: all of them, any
// of them, not all, none. Values are lists with commas.
var tagFilters = map[string]struct{ not, all bool }{
	"tags": {all: true}, "tags-any": {}, "not-tags": {not: true, all: true}, "not-tags-any": {not: true},
}

// tagCondition is a tag filter in SQL; false for other filters.
func (sh *shape) tagCondition(name string, values []string) (string, []any, bool) {
	f, ok := tagFilters[name]
	if !ok {
		return "", nil, false
	}
	var tags []string
	for _, v := range values {
		tags = append(tags, strings.Split(v, ",")...)
	}
	slices.Sort(tags)
	tags = slices.Compact(tags)
	condition := "EXISTS (SELECT 1 FROM tags g WHERE g.kind = '" + sh.table + "' AND g.id = t.id AND g.tag IN (" + marks(len(tags)) + "))"
	if f.all {
		one := "EXISTS (SELECT 1 FROM tags g WHERE g.kind = '" + sh.table + "' AND g.id = t.id AND g.tag = ?)"
		condition = "(" + strings.Repeat(" AND "+one, len(tags))[len(" AND "):] + ")"
	}
	if f.not {
		condition = "NOT " + condition
	}
	return condition, anyOf(tags), true
}

// TagsOf returns the tags of each of the things, sorted.
func (s *Store) TagsOf(ctx context.Context, kind *Tagged, things ...string) (map[string][]string, error) {
	return tagsOf(ctx, s.reader(), kind, things...)
}

func tagsOf(ctx context.Context, tx *Tx, kind *Tagged, things ...string) (map[string][]string, error) {
	tags := map[string][]string{}
	err := details(ctx, tx, things, `SELECT id, tag FROM tags WHERE kind = '`+kind.sh.table+`' AND id`, `ORDER BY id, tag`,
		func(row scanner) error {
			var id, tag string
			err := row.Scan(&id, &tag)
			tags[id] = append(tags[id], tag)
			return err
		})
	return tags, err
}

// ChangeTags gives the thing other tags. It returns those that it then has. The
// error is fault.NotFound when the thing is gone.
func (s *Store) ChangeTags(ctx context.Context, kind *Tagged, id string, change func(has []string) ([]string, error)) (tags []string, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		_, err := find(ctx, tx, kind.sh.missing(id), scanString, `SELECT id FROM `+kind.sh.table+` WHERE id = ?`+tx.forChange(), id)
		if err != nil {
			return err
		}
		all, err := tagsOf(ctx, tx, kind, id)
		if err != nil {
			return err
		}
		if tags, err = change(slices.Clone(all[id])); err != nil {
			return err
		}
		slices.Sort(tags)
		if tags = slices.Compact(tags); slices.Equal(tags, all[id]) {
			return nil
		}
		if err := dropTags(ctx, tx, kind.sh.table, id); err != nil {
			return err
		}
		if err := addTags(ctx, tx, kind.sh.table, id, tags); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE `+kind.sh.table+` SET revision = revision + 1, updated_at = ? WHERE id = ?`, tx.now(), id)
		return err
	})
	return tags, err
}

func addTags(ctx context.Context, tx *Tx, table, id string, tags []string) error {
	for _, tag := range tags {
		if _, err := tx.Exec(ctx, `INSERT INTO tags (kind, id, tag) VALUES (?, ?, ?)`, table, id, tag); err != nil {
			return err
		}
	}
	return nil
}

func dropTags(ctx context.Context, tx *Tx, table, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM tags WHERE kind = ? AND id = ?`, table, id)
	return err
}

// dropRow deletes a resource's row, with its tags, who may use it, and its use of a QoS policy.
func dropRow(ctx context.Context, tx *Tx, table, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE id = ?`, id); err != nil {
		return err
	}
	if _, names := qosUsers[table]; names {
		if err := dropQoS(ctx, tx, table, id); err != nil {
			return err
		}
	}
	if canBeShared(table) {
		if err := dropAccess(ctx, tx, id); err != nil {
			return err
		}
	}
	return dropTags(ctx, tx, table, id)
}
