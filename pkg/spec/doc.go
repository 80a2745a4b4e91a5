// Package spec holds the declared state: the objects that administrators write,
// and everything that turns files into a validated [Set] of them.
//
// It never touches LVM, configfs or a device. It reads the spec directory and
// the secret files that the objects name, and nothing else.
//
// Start reading at [Set]. Files become objects in decode.go (strict, with
// positions), and are judged by themselves in validate.go and together in assemble.go
// (both pure). source.go follows a directory over time: it keeps the last
// good content of a broken file (hold.go), and watch.go wakes the loop when
// something changed.
package spec
