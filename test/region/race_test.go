//go:build race

package region_test

// Under the race detector the pure-Go SQLite is slow enough to make less do.
const (
	crowd          = 20
	spoiltAtOnce   = 2
	atOnce         = "2"
	everyWay       = false
	troubledWorlds = 1
)
