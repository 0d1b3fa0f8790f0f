//go:build race

package compute_test

// Under the race detector the pure-Go SQLite is slow enough to make fewer do.
const (
	atOnce      = 60
	faultsSlots = 4
)
