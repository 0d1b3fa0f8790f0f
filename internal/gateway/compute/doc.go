// Package compute is the Compute (Nova) API of the region: a table of routes and
// their hooks.
package compute
