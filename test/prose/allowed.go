package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Allowed is how many findings there may be, by group. What is not listed has none.
type Allowed map[string]int

const allowedFile = "test/prose/allowed.txt"

func readAllowed(root string) (Allowed, error) {
	text, err := os.ReadFile(filepath.Join(root, allowedFile)) //nolint:gosec // it is a file of the tree
	if err != nil {
		return nil, err
	}
	return parseAllowed(string(text))
}

// parseAllowed reads lines of the form NUMBER GROUP.
func parseAllowed(text string) (Allowed, error) {
	a := Allowed{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		number, group, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		if err != nil || group == "" {
			return nil, fmt.Errorf("%s:%d: write NUMBER GROUP", allowedFile, i+1)
		}
		a[group] = n
	}
	return a, nil
}

// lowered is what is left: no number rises, and no group is added.
func (a Allowed) lowered(found Findings) Allowed {
	now := found.counted()
	lower := Allowed{}
	for group, n := range a {
		if n = min(n, now[group]); n > 0 {
			lower[group] = n
		}
	}
	return lower
}

func (a Allowed) write(root string) error {
	var text strings.Builder
	text.WriteString("# How many findings of the prose linter each document and package may have. Numbers may only fall:\n")
	text.WriteString("# go run ./test/prose -tighten\n")
	for _, group := range slices.Sorted(maps.Keys(a)) {
		fmt.Fprintf(&text, "%d %s\n", a[group], group)
	}
	return os.WriteFile(filepath.Join(root, allowedFile), []byte(text.String()), 0o644) //nolint:gosec // a file of the tree
}

func (f Findings) counted() map[string]int {
	n := map[string]int{}
	for _, each := range f {
		n[each.Group]++
	}
	return n
}

// mostShown is how many findings of a group are printed where some are allowed.
const mostShown = 10

// beyond are the first findings of each group that has more than it may: which of them is new is not known. With
// all it is every finding.
func (f Findings) beyond(allowed Allowed, all bool) Findings {
	now := f.counted()
	shown := map[string]int{}
	var beyond Findings
	for _, each := range f {
		n := allowed[each.Group]
		if shown[each.Group]++; !all && (now[each.Group] <= n || shown[each.Group] > mostShown && n > 0) {
			continue
		}
		if n > 0 {
			each.Instead += fmt.Sprintf(" (%s: %d findings, %d allowed)", each.Group, now[each.Group], n)
		}
		beyond = append(beyond, each)
	}
	return beyond
}
