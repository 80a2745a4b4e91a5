// Package observe reads what the machine really holds into a [State].
//
// It only ever reads: one lvm process for all of LVM, configfs for LIO and nvmet, and
// the management socket of tgtd. It decides nothing. What it cannot read it reports as
// unknown, never as empty.
//
// Start reading at [State], then [Observer.Observe], which fills it. The files are named for
// what they read: lvm*.go, lio*.go, nvmet*.go, tgt.go, fc_ports.go. openers.go and holders.go
// find out who uses a device.
package observe
