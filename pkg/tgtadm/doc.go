// Package tgtadm speaks the management protocol of tgtd, the iSCSI target in
// user space, directly on its Unix socket.
//
// No process is started and nothing is ever on a command line: the tool tgtadm
// takes passwords as arguments, where everybody on the machine can read them
// for as long as it runs. A request through the socket takes well below a
// millisecond besides, where a process takes several.
//
// The package knows nothing of volumes and exports, and remembers nothing. Start
// reading at [Client]; show.go reads what the daemon holds ([Client.Targets]),
// the other files change it, one file per kind of thing.
//
// The protocol and the daemon's behaviour as described here were taken
// from the sources of tgt 1.0.85 (Debian 12) and 1.0.97, whose protocols and
// management code are the same, and tried with 1.0.85.
//
// # What to know about the daemon
//
//   - It answers only a peer with its own user and group ID, and closes the
//     connection of any other without a word. It has one thread for all requests
//     and all network traffic: whatever it waits for, everybody waits for.
//   - Nothing survives its end. There is no state on disk.
//   - A target without any incoming account asks nobody for a password. Whoever
//     takes the last account away, be it for a moment to set a new password,
//     opens the target to every initiator that its access lists let in. An
//     account with a random password that is bound first and remains bound closes
//     that gap.
//   - Accounts are global, by name; a target only refers to them. A password
//     cannot be read, nor changed: the account is deleted, which takes it from
//     all targets, created again and bound again. Sessions are not ended by that.
//   - A target's accounts are kept in slots, and listing them reads as many slots
//     from the first as there are accounts. If one is unbound that is not the
//     last, the next show of anybody ENDS THE DAEMON by a segmentation fault, and
//     the account in the last slot cannot log in. See [Client.UnbindAccounts].
//   - Access lists are per target: an initiator may log in if its name or its
//     address matches, and sees all logical units. Both lists take any text. An
//     empty list lets nobody in. A name is compared byte for byte.
//   - Logical unit 0 is the target's controller: it cannot be removed, and cannot
//     be a disk.
//   - Names and aliases of initiators come from the network unchecked, line
//     breaks included, and are printed in the middle of the list of targets.
//     See [Client.Targets].
//   - Backing devices are opened without O_EXCL, so nothing keeps one from being
//     mounted or exported a second time.
//   - With debug=on it logs every request, passwords included.
package tgtadm
