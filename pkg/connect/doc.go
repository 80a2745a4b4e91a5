// Package connect says what an initiator needs to reach an Export: as the
// connection_info that Cinder's drivers return, and as a shell script with the
// initiator's own commands.
//
// It is pure: what is on the node is handed in. It never shows a password unless
// it is asked for just that.
//
// Start reading at [Resolve]. There is one file per family of protocols.
package connect
