// Package spec holds the declared state: the objects that administrators write,
// and everything that turns files into a validated [Set] of them.
//
// It reads the spec directory and the secret files that the objects name, and
// nothing else. It never touches LVM, configfs or a device, and never writes a file.
//
// Start reading at [Set], which is what other packages use, and types.go, which has
// the objects. A file passes through these steps:
//
//   - decode.go makes objects of it: strict, with the position of every field;
//   - validate.go checks each object by itself, and assemble.go all of them together;
//     both are pure;
//   - lastgood.go keeps the last good content of a broken file, so that a typo deletes
//     nothing; removed.go remembers removed files for a moment, and keeper.go stores the
//     last good content across restarts.
//
// source.go follows a directory over time ([Source.Load]), and watch.go wakes the loop
// when something changed ([Source.Watch]).
package spec
