package topology

import "time"

// Standard is what every resource of the Network API has. The tags are the
// columns of its table; `api` is the attribute's name where that differs.
type Standard struct {
	ID          string    `db:"id"`
	ProjectID   string    `db:"project_id"`
	Description string    `db:"description"`
	CreatedAt   time.Time `db:"created_at"`
	UpdatedAt   time.Time `db:"updated_at"`
	Revision    int64     `db:"revision" api:"revision_number"`
}

// Std returns the part that all resources share.
func (s *Standard) Std() *Standard { return s }
