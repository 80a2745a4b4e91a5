// Package contributing tests that the recipes of CONTRIBUTING.md are complete: it searches the tree for changes,
// protocols, fields and reasons that exist, and compares the files that name them with the recipes' lists. It is
// tests only.
package contributing
