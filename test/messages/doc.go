// Package messages holds what users read to the project's language. It collects
// the text of every message in the code, compares it with the tables in table/,
// where each has an example that can be reviewed in one place, and checks the
// form of each. It is tests only.
//
// After a message was added or changed:
//
//	go test ./test/messages -update
//
// adds what is missing to the tables, with an empty example, and removes what
// is no longer in the code. Then write the examples.
//
// Start reading at collect_test.go (which texts are messages), rules_test.go
// (what they must be like) and retired.txt (words not to use).
package messages
