// Package docs holds the documents that commands show parts of. The text is that of the files
// beside it, and exists nowhere else.
package docs

import _ "embed" // the documents

// Troubleshooting is troubleshooting.md: an entry for each reason, below the heading Reasons.
//
//go:embed troubleshooting.md
var Troubleshooting string
