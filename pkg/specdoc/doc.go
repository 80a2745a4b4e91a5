// Package specdoc documents every field of a spec, once: its meaning, its default, what is
// allowed, and an example. Names, types and what is required come from the Go types of
// package spec.
//
// Everything that people and editors read of fields is made from it: the JSON Schema
// ([Schema]), the text of the command explain ([Field.Explain]), the tables of the reference
// ([Table]) and the manual page ([Manual]). It reads no file, and decides nothing:
// whether a spec is valid is decided by package spec, and tests hold the two together.
//
// Start reading at [Field]; pool.go, volume.go, snapshot.go, export.go, image.go and
// metadata.go have the texts.
package specdoc
