package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
)

// GroupElsewhere is the code of the conflict when a server is to be created in
// one pod and its server group is in another.
const GroupElsewhere = "ServerGroupElsewhere"

// ServerGroup says of some servers that they are to share a host, or not to. It
// is ours alone until a server is created in it: that server's pod is the group's
// for as long as it has members, or creations of members under way.
type ServerGroup struct {
	ID        string
	ProjectID string
	UserID    string
	Name      string
	Policy    string
	// MaxPerHost is the rule max_server_per_host; 0: not given.
	MaxPerHost int
	Pod        string   // empty: in none
	Members    []string // the servers that were created in it through us
	CreatedAt  time.Time
}

// NoServerGroup is Nova's error for a group that there is not.
func NoServerGroup(id string) error {
	return fault.New(fault.NotFound, "", "Instance group %s could not be found.", id)
}

const serverGroupColumns = `id, project_id, user_id, name, policy, max_per_host, pod, created_at`

func scanServerGroup(row scanner) (g ServerGroup, err error) {
	err = row.Scan(&g.ID, &g.ProjectID, &g.UserID, &g.Name, &g.Policy, &g.MaxPerHost, &g.Pod, intoTime(&g.CreatedAt))
	return g, err
}

// CreateServerGroup makes the group, in no pod yet. fault.OverQuota when the
// project, or the user within it, has as many as there may be.
func (s *Store) CreateServerGroup(ctx context.Context, g ServerGroup) (ServerGroup, error) {
	err := s.write(ctx, func(tx *Tx) error {
		for _, user := range []string{"", g.UserID} {
			if err := admitGroupTx(ctx, tx, g.ProjectID, user); err != nil {
				return err
			}
		}
		if g.ID == "" {
			g.ID = uuid.NewString()
		}
		g.Pod, g.Members, g.CreatedAt = "", nil, tx.now()
		_, err := tx.Exec(ctx, `
			INSERT INTO server_groups (`+serverGroupColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			g.ID, g.ProjectID, g.UserID, g.Name, g.Policy, g.MaxPerHost, g.Pod, g.CreatedAt)
		return err
	})
	return g, err
}

func admitGroupTx(ctx context.Context, tx *Tx, project, user string) error {
	of := QuotaOf{Service: quota.Compute, ProjectID: project, UserID: user}
	ok, _, err := admitOne(ctx, tx, of, "server_groups", func(ctx context.Context, tx *Tx) (int64, error) {
		return countServerGroups(ctx, tx, project, user)
	})
	if err == nil && !ok {
		err = fault.New(fault.OverQuota, "", "Quota exceeded, too many server groups.")
	}
	return err
}

// CountServerGroups is how many groups the project has, or with a user how many
// of them are his.
func (s *Store) CountServerGroups(ctx context.Context, project, user string) (int64, error) {
	return countServerGroups(ctx, s.reader(), project, user)
}

func countServerGroups(ctx context.Context, tx *Tx, project, user string) (n int64, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*) FROM server_groups
		WHERE project_id = ? AND (? = '' OR user_id = ?)`, project, user, user).Scan(&n)
	return n, unreachable(err)
}

// FindServerGroup returns the group with its members, or fault.NotFound.
func (s *Store) FindServerGroup(ctx context.Context, id string) (g ServerGroup, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		if g, err = findServerGroup(ctx, tx, id, ""); err != nil {
			return err
		}
		one := []ServerGroup{g}
		err = addMembers(ctx, tx, one)
		g = one[0]
		return err
	})
	return g, err
}

func findServerGroup(ctx context.Context, tx *Tx, id, suffix string) (ServerGroup, error) {
	return find(ctx, tx, NoServerGroup(id), scanServerGroup, `
		SELECT `+serverGroupColumns+` FROM server_groups
		WHERE id = ?`+suffix, id)
}

// ListServerGroups lists the project's groups with their members, the oldest
// first; without a project those of all.
func (s *Store) ListServerGroups(ctx context.Context, project string) (all []ServerGroup, err error) {
	where, args := "1 = 1", []any{}
	if project != "" {
		where, args = "project_id = ?", []any{project}
	}
	err = s.read(ctx, func(tx *Tx) error {
		all, err = list(ctx, tx, scanServerGroup, `
			SELECT `+serverGroupColumns+` FROM server_groups
			WHERE `+where+`
			ORDER BY created_at, id`, args...)
		if err != nil {
			return err
		}
		return addMembers(ctx, tx, all)
	})
	return all, err
}

// GroupOf is the group that the server was created in through us; empty: none.
func (s *Store) GroupOf(ctx context.Context, server string) (string, error) {
	group, err := find(ctx, s.reader(), errNoGroup, scanString, `SELECT group_id FROM server_group_members WHERE server_id = ?`, server)
	if errors.Is(err, errNoGroup) {
		return "", nil
	}
	return group, err
}

var errNoGroup = errors.New("in no group")

func addMembers(ctx context.Context, tx *Tx, groups []ServerGroup) error {
	names, where := ids(groups, func(g *ServerGroup) string { return g.ID })
	return details(ctx, tx, names, `SELECT group_id, server_id FROM server_group_members WHERE group_id`, `ORDER BY group_id, server_id`,
		func(row scanner) error {
			var group, server string
			err := row.Scan(&group, &server)
			if err == nil {
				where[group].Members = append(where[group].Members, server)
			}
			return err
		})
}

// DeleteServerGroup deletes the group; a job removes it from its pod. Its members
// stay where they are. fault.NotFound if there is none.
func (s *Store) DeleteServerGroup(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		gone, err := affected(tx.Exec(ctx, `DELETE FROM server_groups WHERE id = ?`, id))
		if err != nil {
			return err
		}
		if !gone {
			return NoServerGroup(id)
		}
		_, err = unwantTx(ctx, tx, KindServerGroup, id)
		return err
	})
}

// joinGroupTx lets the creation into its group. The first one decides the group's
// pod, under the group's lock, whoever else is trying.
func joinGroupTx(ctx context.Context, tx *Tx, in Intent) error {
	if in.ServerGroup == "" {
		return nil
	}
	g, err := findServerGroup(ctx, tx, in.ServerGroup, tx.forUpdate())
	if err != nil {
		return err
	}
	switch g.Pod {
	case in.Pod:
		return nil
	case "":
	default:
		return fault.New(fault.Conflict, GroupElsewhere, "server group %s is in pod %s", g.ID, g.Pod)
	}
	if _, err := tx.Exec(ctx, `UPDATE server_groups SET pod = ? WHERE id = ?`, in.Pod, g.ID); err != nil {
		return fmt.Errorf("cannot put server group %s into pod %s: %w", g.ID, in.Pod, err)
	}
	_, err = wantTx(ctx, tx, g.ProjectID, Target{Kind: KindServerGroup, ID: g.ID, Pod: in.Pod})
	return err
}

// memberTx makes the server a member. A group that was deleted meanwhile has none.
func memberTx(ctx context.Context, tx *Tx, group, server string) error {
	if group == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO server_group_members (server_id, group_id)
		SELECT ?, id FROM server_groups WHERE id = ?
		ON CONFLICT (server_id) DO NOTHING`, server, group)
	return err
}

// leaveGroupTx ends the membership of a server that is gone.
func leaveGroupTx(ctx context.Context, tx *Tx, server string) error {
	left, err := list(ctx, tx, scanString, `DELETE FROM server_group_members WHERE server_id = ? RETURNING group_id`, server)
	if err != nil {
		return err
	}
	for _, group := range left {
		if err := freeGroupTx(ctx, tx, group); err != nil {
			return err
		}
	}
	return nil
}

// moveGroupTx takes the group along with its only creation under way.
func moveGroupTx(ctx context.Context, tx *Tx, in Intent) error {
	if in.ServerGroup == "" {
		return nil
	}
	if err := freeGroupButTx(ctx, tx, in.ServerGroup, in.ID); err != nil {
		return err
	}
	return joinGroupTx(ctx, tx, in)
}

// freeGroupTx takes the group out of its pod if nothing keeps it there: the next
// first member may go elsewhere.
func freeGroupTx(ctx context.Context, tx *Tx, group string) error {
	if group == "" {
		return nil
	}
	return freeGroupButTx(ctx, tx, group, "")
}

// freeGroupButTx is freeGroupTx where one creation does not count.
func freeGroupButTx(ctx context.Context, tx *Tx, group, intent string) error {
	g, err := findServerGroup(ctx, tx, group, tx.forUpdate())
	if fault.Is(err, fault.NotFound) || err == nil && g.Pod == "" {
		return nil
	}
	if err != nil {
		return err
	}
	var keep int
	err = tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM server_group_members WHERE group_id = ?)
			+ (SELECT count(*) FROM intents WHERE server_group = ? AND id <> ?)`, group, group, intent).Scan(&keep)
	if err != nil || keep > 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE server_groups SET pod = '' WHERE id = ?`, group); err != nil {
		return err
	}
	_, err = unwantTx(ctx, tx, KindServerGroup, group)
	return err
}
