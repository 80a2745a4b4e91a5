// Package catalog knows what is in the declared repositories of backups, as far as it was read. A repository may be far
// away or not answer at all, so it is read in the background: [Catalog.Observe] never waits.
//
// A small file keeps what a repository does not tell: that it was used before, when it was pruned and checked, which
// backups were removed in the last 24 hours, which may be incomplete, and which do not have the content that they should. The file has
// no secrets. Without it, a repository that is gone would be made again, empty, and prune and check would
// begin anew.
//
// The catalog changes nothing in a repository, and takes no lock there: what the agent itself does meanwhile
// must not fail because of it. Start reading at [Catalog.Observe].
package catalog
