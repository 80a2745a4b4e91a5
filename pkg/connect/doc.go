// Package connect says what an initiator needs to reach an Export: as the
// connection_info that Cinder's drivers return, and as a shell script with the
// initiator's own commands.
//
// It is pure: the caller passes in what is on the node. It never connects to anything,
// and never shows a password unless it is asked to.
//
// Start reading at [Resolve]. There is one file per family of protocols.
package connect
