// Package doctor finds what a node lacks for the specs that it is to serve: modules, programs, settings of
// LVM, and services and programs that get in each other's way. It never changes anything.
//
// [Gather] reads the node once and returns [Facts]; everything else is pure. Each check is a function from
// the facts to findings and asks only for what the specs need. Start reading at [Diagnose] and at the list
// in checks.go.
package doctor
