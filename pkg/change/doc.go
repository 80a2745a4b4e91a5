// Package change holds the changes that a plan is made of: a closed set of
// small values that can be printed, compared and serialised.
//
// A change names one thing, what to do with it, and what the plan observed there.
// It never does anything itself: package reconcile decides on changes, and the
// packages below actuators apply them, each change by exactly one of them.
//
// Start reading at [Change]; lvm.go, data.go, backstore.go and target.go list the changes
// of each system.
package change
