package main

import (
	"fmt"
	"regexp"
	"strings"
)

// Word is a line of retired.txt.
type Word struct {
	Retired *regexp.Regexp
	Instead string
	// Allowed is nil, or what a passage may say although Retired is a part of it.
	Allowed *regexp.Regexp
}

// Words are the lines of retired.txt.
type Words struct {
	each []Word
	any  *regexp.Regexp
}

// parseWords reads lines of the form WORD -> INSTEAD, or WORD -> INSTEAD ! ALLOWED. WORD and ALLOWED are
// regular expressions, matched as whole words in any case. Lines that begin with # are comments.
func parseWords(text string) (Words, error) {
	var w Words
	var all []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		retired, rest, ok := strings.Cut(line, " -> ")
		if !ok {
			return w, fmt.Errorf("retired.txt:%d: write WORD -> INSTEAD", i+1)
		}
		instead, allowed, excepted := strings.Cut(rest, " ! ")
		word := Word{Instead: instead}
		var err error
		if word.Retired, err = whole(retired); err != nil {
			return w, fmt.Errorf("retired.txt:%d: %w", i+1, err)
		}
		if excepted {
			if word.Allowed, err = whole(allowed); err != nil {
				return w, fmt.Errorf("retired.txt:%d: %w", i+1, err)
			}
		}
		w.each = append(w.each, word)
		all = append(all, retired)
	}
	var err error
	w.any, err = whole(strings.Join(all, "|"))
	return w, err
}

func whole(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile(`(?i)\b(?:` + pattern + `)\b`)
}

// hit is a retired word in a passage, from one offset to another.
type hit struct {
	from, to int
	instead  string
}

// in finds the retired words of a text.
func (w Words) in(text string) []hit {
	if !w.any.MatchString(text) { // one pass where there is nothing, which is nearly everywhere
		return nil
	}
	var hits []hit
	for _, word := range w.each {
		for _, at := range word.Retired.FindAllStringIndex(text, -1) {
			if word.Allowed == nil || !overlaps(word.Allowed.FindAllStringIndex(text, -1), at) {
				hits = append(hits, hit{at[0], at[1], word.Instead})
			}
		}
	}
	return hits
}

func overlaps(several [][]int, one []int) bool {
	for _, s := range several {
		if s[0] < one[1] && one[0] < s[1] {
			return true
		}
	}
	return false
}
