// Package lastgood stores the last good content of spec files on disk, so that a file that is
// broken when the agent starts still declares its objects.
//
// It never interprets the content, and never makes a start fail: a stored text that cannot be
// read, or does not match its checksum, is ignored.
//
// Start reading at [Store]; package spec decides what to store, see [spec.Keeper].
package lastgood
