// Program prose holds the project's documents, comments, messages and commit subjects to its house style:
// retired.txt lists the words that are not used any longer, with what to write instead, and rules.go the
// longest line, table cell and sentence. It prints file:line: what was found: what to write.
//
// What was there when a rule was made is listed in allowed.txt, as a number of findings per document or
// package, which may only fall: "go run ./test/prose -tighten" lowers the numbers to what is left.
//
// Start reading in check.go.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	tighten := flag.Bool("tighten", false, "lower the numbers in allowed.txt to the findings that are left")
	all := flag.Bool("all", false, "print the allowed findings too")
	flag.Parse()
	failed, err := run(os.Stdout, *root, *tighten, *all)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// run checks the tree, prints findings, and reports whether there are too many.
func run(w io.Writer, root string, tighten, all bool) (failed bool, err error) {
	found, err := check(root, base)
	if err != nil {
		return false, err
	}
	allowed, err := readAllowed(root)
	if err != nil {
		return false, err
	}
	if tighten {
		return false, allowed.lowered(found).write(root)
	}
	for _, f := range found.beyond(allowed, all) {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return false, err
		}
		failed = true
	}
	return failed && !all, nil
}
