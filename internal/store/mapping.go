package store

import "time"

// Mapping says where a thing of ours is: (kind, our ID, pod) to the pod's ID.
// For the kinds we realise (networks, subnets, ports, groups) it is also the
// unit of work: Generation counts the changes wanted, Observed the last one that
// the pod is known to have. Wanted false means it must not exist there.
type Mapping struct {
	Target
	PodID     string // empty until the pod's object is known
	ProjectID string
	Wanted    bool
	// Tried is set before the first creating call: from then on a retry looks for
	// an orphan with our mark before it creates.
	Tried      bool
	Generation int64
	Observed   int64
	Reason     string // why the last attempt did not finish; empty when it did
	UpdatedAt  time.Time
}
