//go:build race

package region_test

// Under the race detector the pure-Go SQLite is slow enough to make fewer do.
const (
	crowd        = 60
	spoiltAtOnce = 4
)
