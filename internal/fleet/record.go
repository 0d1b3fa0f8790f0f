package fleet

import "time"

// Record is the story of one request for servers: what was asked, what was
// decided, and what the pods chosen said to it. It is kept for a while, so that
// operators can ask why.
type Record struct {
	Need  Need   `json:"need"`
	Count int    `json:"count"`
	Apart bool   `json:"apart,omitempty"` // each server in another pod
	Steps []Step `json:"steps"`
}

// Step is one choice of a pod.
type Step struct {
	At time.Time `json:"at"`
	Decision
	// Error says why no pod was left.
	Error string `json:"error,omitempty"`
	// Refused is what the chosen pod said, if it refused: the next step follows.
	Refused string `json:"refused,omitempty"`
}
