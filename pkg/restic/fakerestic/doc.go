// Package fakerestic is a restic in memory, for tests: it is the program behind a [restic.Repository], not the
// package restic. Exit statuses, texts, JSON, locks and the choice of what is read again are those of
// restic 0.14, or of 0.17 and newer with New; a contract test runs the same table against it and real ones.
//
// It reads the directory that it backs up, as restic does; repositories are in memory. Start reading at
// [Restic.Run].
package fakerestic
