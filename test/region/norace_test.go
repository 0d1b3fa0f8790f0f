//go:build !race

package region_test

const (
	crowd          = 200 // servers created at once
	spoiltAtOnce   = 12  // regions at once, most of them waiting
	atOnce         = "8" // stories at once, likewise
	everyWay       = true
	troubledWorlds = 4 // whether each call of a creation fails in every way, or each in another
)
