package store

import "time"

// Entry is what the index remembers of a server, volume or image: what routing,
// order and outages need, and nothing else.
type Entry struct {
	Kind      string
	ID        string
	Pod       string
	ProjectID string
	UserID    string
	Name      string
	Zone      string // the region's name for it
	Status    string // last seen
	CreatedAt time.Time
}

// Intent is the journal of one server creation: written before the pod is asked,
// settled with the index entry. ID is the mark that the server carries in its
// metadata, so that a crash between the call and the record leaves nothing
// unaccounted for.
type Intent struct {
	ID        string
	Kind      string
	Pod       string
	ProjectID string
	UserID    string
	Name      string
	Zone      string
	Ports     []string // central ports made for or used by it
	CreatedAt time.Time
}
