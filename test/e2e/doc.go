// Package e2e runs the real agent on a real kernel: real LVM, real LIO, real
// iSCSI initiators, all in a throw-away guest machine.
//
// It is tests only, one file per behaviour, that share one guest. They are
// skipped unless VOLRECONCILER_GUEST=1, because a guest takes a while to boot.
// suite_test.go boots the guest and cleans up between specs; node_test.go is
// the vocabulary that specs are written in.
package e2e
