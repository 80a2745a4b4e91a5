// Package change holds the changes that a plan is made of: a closed set of
// small values that can be printed, compared and serialised.
//
// A change says what to do to one thing and what the plan saw there. It does
// nothing itself: package reconcile decides on changes, the packages below
// actuators apply them, each change by exactly one.
//
// Start reading at [Change]; lvm.go, data.go, backstore.go and target.go list the changes
// of each system.
package change
