// Package notify reports what became of objects to people and programs outside of the node: every
// event to the log, and to each target of the configuration file what lasts.
//
// A target receives differences. A [ledger] keeps, for each object, the state that holds and the one that
// was reported last, and decides by these and the time alone what is due. So there is no queue: a
// target that was out of reach for a day receives the present states once, and never what is over by then.
//
// Each target has a goroutine and reads the events by itself; one that hangs holds up nobody. The
// package reads only the events, files with secrets and certificates, and changes nothing on the
// node but what a command of the administrator does.
//
// Start reading at [Run], then at ledger.due.
package notify
