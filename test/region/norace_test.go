//go:build !race

package region_test

// How many servers are created at once, and how many spoilt regions run at once.
const (
	crowd        = 200
	spoiltAtOnce = 12
)
