//go:build !race

package jobs_test

// detecting says that the race detector is on.
const detecting = false
