// Package observe reads what the machine really holds into a [State].
//
// It only ever reads: one lvm process for all of LVM, and configfs for LIO. It
// decides nothing. What it cannot read it reports as unknown, never as empty.
//
// Start reading at [State]; there is one file per system, lvm.go and lio.go,
// and [Observer] calls them.
package observe
