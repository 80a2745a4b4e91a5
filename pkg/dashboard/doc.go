// Package dashboard answers with web pages that show the node to people: what needs them, the objects,
// the pools and the events.
//
// It only ever reads: it has no form that changes anything, and answers GET alone. The pages are made on
// the server, hold no script and no style of their own, and load nothing from elsewhere. A small script
// renews them when something happens; without it they are complete, and are renewed by loading them again.
//
// Start reading at [New], then page.go. A file for each view turns a report into what its template shows;
// these functions are pure.
package dashboard
