//go:build !race

package compute_test

// How many servers are created at once, and how many broken regions run at once.
const (
	atOnce      = 200
	faultsSlots = 12
)
