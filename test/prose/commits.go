package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// base is the last commit from before there were rules for subjects.
const base = "c224dab7ec2545824375637e016966430ab38eed"

const longestSubject = 72

// commit is one of the history, as much of it as is checked.
type commit struct{ hash, subject string }

// recentCommits are the last 20 after a base, without merges. Without git, without a history or with a
// shallow one there is nothing to check.
func recentCommits(root, base string) []commit {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output() //nolint:gosec // arguments of ours
		return string(out), err
	}
	if _, err := git("merge-base", "--is-ancestor", base, "HEAD"); err != nil {
		return nil
	}
	out, err := git("log", "-20", "--no-merges", "--format=%h%x09%s", base+"..HEAD")
	if err != nil {
		return nil
	}
	var all []commit
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if hash, subject, ok := strings.Cut(line, "\t"); ok {
			all = append(all, commit{hash, subject})
		}
	}
	return all
}

var (
	subject = regexp.MustCompile(`^[a-zA-Z0-9_./-]+(?:, [a-zA-Z0-9_./-]+)*: (\S+) \S`)
	// noVerb are words that begin a description, not a command.
	noVerb = []string{
		"what", "who", "that", "the", "a", "an", "no", "all", "it", "this", "where", "when", "how", "which", "new",
		"there", "is", "are", "if", "as", "in", "on", "for", "also", "only", "more", "some", "nothing", "nobody",
	}
	inflected = regexp.MustCompile(`(ed|ing|[^s]s)$`)
	// imperative are verbs that look inflected, and are not.
	imperative = []string{
		"address", "bias", "bring", "embed", "exceed", "feed", "focus", "heed", "need", "ping", "proceed", "ring", "seed",
		"shed", "speed", "spring", "string", "succeed",
	}
)

// checkCommits checks subjects: "package: verb object".
func checkCommits(commits []commit) Findings {
	var found Findings
	for _, c := range commits {
		bad := func(what, instead string) {
			found = append(found, Finding{"commit " + c.hash, 1, "commits", what, instead})
		}
		if strings.HasPrefix(c.subject, `Revert "`) {
			continue
		}
		if n := utf8.RuneCountInString(c.subject); n > longestSubject {
			bad(fmt.Sprintf("a subject of %d characters", n), fmt.Sprintf("write at most %d", longestSubject))
		}
		parts := subject.FindStringSubmatch(c.subject)
		if parts == nil {
			bad(c.subject, "write package: verb object")
			continue
		}
		verb := strings.ToLower(strings.Trim(parts[1], ",;:"))
		if slices.Contains(noVerb, verb) || inflected.MatchString(verb) && !slices.Contains(imperative, verb) {
			bad(parts[1], "begin with a verb in the imperative, as in observe: read thin pool health from the report")
		}
	}
	return found
}
