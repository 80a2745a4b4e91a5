package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits of one file. They bound the memory and the time that a file can cost,
// far above what an administrator writes.
const (
	maxFileBytes = 1 << 20
	maxDocuments = 10_000
)

// checkText refuses what is no text before the YAML library sees it, because
// the library names no place for it. It returns the text without a byte order
// mark, which some editors put in front of UTF-8.
func checkText(file string, data []byte) ([]byte, *Finding) {
	if len(data) > maxFileBytes {
		return nil, tooLarge(file, int64(len(data)))
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return nil, &Finding{File: file, Line: 1, Column: 1, Err: errors.New("the file is encoded as UTF-16; save it as UTF-8")}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(bytes.TrimSpace(data)) == 0 {
		// Nobody knows what it said. A comment says that it is meant.
		return nil, &Finding{File: file, Err: errors.New(
			"the file is empty (after a power failure or on a full disk?); write objects or a comment into it, or remove the file")}
	}
	line, column := 1, 1
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		var err error
		switch {
		case r == 0:
			err = errors.New("the file contains a NUL byte; save it as UTF-8 text")
		case r == utf8.RuneError && size == 1:
			err = fmt.Errorf("byte 0x%02x is not valid UTF-8; save the file as UTF-8", rest[0])
		case isForbidden(r):
			err = fmt.Errorf("control character %U is not allowed in YAML; remove it", r)
		}
		if err != nil {
			return nil, &Finding{File: file, Line: line, Column: column, Err: err}
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
		rest = rest[size:]
	}
	return data, nil
}

func tooLarge(file string, size int64) *Finding {
	return &Finding{File: file, Err: fmt.Errorf(
		"the file has %d bytes; at most %d are allowed. Split the file", size, maxFileBytes)}
}

// isForbidden reports whether YAML has no place for a character.
func isForbidden(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == 0x85:
		return false
	case r < 0x20 || r >= 0x7f && r < 0xa0:
		return true
	default:
		return r == 0xfeff || r == 0xfffe || r == 0xffff
	}
}

// parse splits a file into its documents. A syntax error ends it: the documents
// before it are returned, those after it are unknown.
func parse(file string, data []byte) (documents []*yaml.Node, finding *Finding) {
	// The library panics on a few malformed inputs. Whatever it trips over is a
	// mistake in the file, and must not stop the agent.
	defer func() {
		if r := recover(); r != nil {
			finding = &Finding{File: file, Err: fmt.Errorf("not valid YAML: %v", r)}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return documents, nil
		case err != nil:
			return documents, syntaxError(file, data, err)
		case len(documents) == maxDocuments:
			return documents, &Finding{File: file, Line: document.Line, Err: fmt.Errorf(
				"the file has more than %d documents; split the file", maxDocuments)}
		}
		documents = append(documents, &document)
	}
}

// syntaxError finds the line of an error of the YAML library.
func syntaxError(file string, data []byte, err error) *Finding {
	parts := regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`).FindStringSubmatch(err.Error())
	if parts == nil {
		return &Finding{File: file, Err: fmt.Errorf("not valid YAML: %w", err)}
	}
	problem := parts[2]
	if name, ok := strings.CutPrefix(problem, "unknown anchor '"); ok {
		name = "*" + strings.TrimSuffix(name, "' referenced")
		line, column := find(data, name)
		return &Finding{File: file, Line: line, Column: column, Err: fmt.Errorf(
			"YAML alias %s is not supported here; put a string that begins with * in quotes", name)}
	}
	// The library leaves out the first line, and counts from zero in the errors
	// of its parser (but not in those of its scanner).
	line, convErr := strconv.Atoi(parts[1])
	if convErr != nil {
		line = 1
	} else if isParserProblem(problem) {
		line++
	}
	switch {
	case strings.HasPrefix(problem, "did not find expected <document start>"):
		problem = "the document has ended before this line; check its indentation"
	case strings.HasPrefix(problem, "did not find expected") && isParserProblem(problem):
		problem += ", here or in the mapping or list that begins here"
	}
	if strings.Contains(problem, "a tab character") && !isIndentedByTab(data, line) && isIndentedByTab(data, line+1) {
		line++ // the library names the line before
	}
	switch {
	case isIndentedByTab(data, line):
		problem += "; indent YAML with spaces, not with tabs"
	case strings.HasPrefix(problem, "mapping values are not allowed"):
		problem += "; check the indentation of this line, and that each colon in the line before it is followed by a space"
	}
	return &Finding{File: file, Line: line, Err: fmt.Errorf("not valid YAML: %s", problem)}
}

func isIndentedByTab(data []byte, line int) bool {
	return strings.HasPrefix(strings.TrimLeft(lineOf(data, line), " "), "\t")
}

// isParserProblem tells the errors of the library's parser from those of its
// scanner.
func isParserProblem(problem string) bool {
	for _, prefix := range []string{
		"did not find expected <", "did not find expected node content", "did not find expected '-' indicator",
		"did not find expected key", "did not find expected ',' or", "found undefined tag handle",
		"found duplicate %", "found incompatible YAML document",
	} {
		if strings.HasPrefix(problem, prefix) {
			return true
		}
	}
	return false
}

// find returns the line and column of the first occurrence of a text.
func find(data []byte, text string) (line, column int) {
	before, _, found := bytes.Cut(data, []byte(text))
	if !found {
		return 0, 0
	}
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// lineOf returns a line of the file without its end.
func lineOf(data []byte, line int) string {
	for n := 1; ; n++ {
		text, rest, more := bytes.Cut(data, []byte("\n"))
		if n == line {
			return string(text)
		}
		if !more {
			return ""
		}
		data = rest
	}
}
