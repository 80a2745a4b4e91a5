// Package statusapi is how others ask a running agent for its status: HTTP and JSON
// over a unix socket, the serving side and the asking side.
//
// It only ever reads: nothing that comes in over the socket changes the node or
// wakes the loop. Only files declare objects.
//
// Start reading at [Handler], then [Client].
package statusapi
