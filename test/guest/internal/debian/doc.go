// Package debian makes what guests consist of from Debian packages, once per
// machine, and keeps it in the cache: the user space of a release ([Root]) and
// kernels ([EmulatorKernel], [UserModeKernel], [BuildKernel]). Nothing is
// installed on the host; its apt is asked for the mirror and not changed.
//
// recipe.go says what is in a user space; kernels.go and usermode.go make kernels;
// archive.go fetches packages of any release.
package debian
