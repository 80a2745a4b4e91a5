// Package statusapi is the status socket of a running agent: HTTP and JSON over a unix
// socket, with its server and its client.
//
// It only ever reads: no request changes the node or wakes the loop. Only files declare
// objects.
//
// Start reading at [Handler], then [Client].
package statusapi
