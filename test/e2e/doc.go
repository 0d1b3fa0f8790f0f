// Package e2e proves Tricircle against real OpenStack clouds: it starts the
// program on a database of its own, adds the pods of the testbed, registers a
// region of its own name in their Keystone, and acts as a tenant through the
// public clients. The tests need the build tag e2e and a running testbed; see
// make e2e.
//
// The tenant is alt. Whatever other tenants do in the clouds meanwhile is not
// looked at.
package e2e
