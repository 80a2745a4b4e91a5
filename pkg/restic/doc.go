// Package restic runs the program restic, 0.14 or newer: it makes, lists, reads and removes
// snapshots of a repository, and keeps the repository in order. It knows nothing of volumes.
//
// Passwords, the URL and the environment reach restic through its environment, never through
// arguments. Snapshots are removed by their IDs only, never by a policy of restic's. Times are
// in UTC. The child ends with this process, and receives SIGINT when a context ends, so that it
// can remove its lock.
//
// Start reading at [Repository]; every command passes through [Repository.run], which makes
// an [Error] of what restic printed. fakerestic is a restic in memory for tests.
package restic
