// Package contract is what Tricircle relies on in a pod, as tests that run
// unchanged against the simulated clouds of podtest and against real ones, so
// that the simulation cannot drift from the truth.
//
// The simulated clouds are always tested. With TRICIRCLE_CONTRACT_CLOUDS naming
// a clouds.yaml the pod of TRICIRCLE_CONTRACT_POD (pod1) is, too: it needs
// clouds {admin,demo,alt}-POD, an active image, a flavor, and the physical
// network "bridge". All that the tests make they take away.
package contract
