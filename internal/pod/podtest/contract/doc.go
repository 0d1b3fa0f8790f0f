// Package contract is what Tricircle relies on in a pod, as tests that run
// unchanged against the simulated clouds of podtest and against real ones, so
// that the simulation cannot drift from the truth.
//
// The simulated clouds are always tested. With TRICIRCLE_CONTRACT_CLOUDS naming
// a clouds.yaml the pods pod1 and pod2 of that file are, too: it needs clouds
// {admin,demo,alt}-{pod1,pod2}, an active image, a flavor, and the physical
// network "bridge". All that the tests make they take away.
package contract
