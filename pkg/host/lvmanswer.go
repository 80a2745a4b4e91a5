package host

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// answer is the JSON object with which the shell answers a line, see
// lvmreport(7), "command log report". All values in it are strings.
type answer struct {
	Report json.RawMessage `json:"report"`
	Log    []logEntry      `json:"log"`

	raw []byte
	ret int
}

// logEntry is an entry of the command log.
type logEntry struct {
	Type    string `json:"log_type"`
	Message string `json:"log_message"`
	RetCode string `json:"log_ret_code"`
}

// retProcessed is the code in the log that becomes exit status 0
// (lvm_return_code in LVM's tools/lvmcmdline.c).
const retProcessed = 1

// readAnswer reads the next answer. Other lines before it are skipped: there
// are messages that bypass LVM's log.
func readAnswer(r *bufio.Reader) (answer, error) {
	raw, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	return parseAnswer(raw)
}

// readObject reads from the first line that begins with a brace to the end of
// the object that it begins, and not a byte more.
func readObject(r *bufio.Reader) ([]byte, error) {
	var (
		object             []byte
		depth              int
		lineStart          = true
		inString, escaping bool
	)
	for {
		c, err := r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if depth == 0 {
			if !lineStart || c != '{' {
				lineStart = c == '\n' || lineStart && (c == ' ' || c == '\t')
				continue
			}
		}
		object = append(object, c)
		switch {
		case escaping:
			escaping = false
		case inString:
			escaping, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return object, nil
			}
		}
	}
}

// parseAnswer decodes an answer, which must say how the command ended.
func parseAnswer(raw []byte) (answer, error) {
	a := answer{raw: raw}
	if err := json.Unmarshal(raw, &a); err != nil {
		return answer{}, fmt.Errorf("answer: %w", err)
	}
	for _, e := range a.Log {
		// Those before the last one are of parts of the command.
		if e.Type == "status" {
			ret, err := strconv.Atoi(e.RetCode)
			if err != nil {
				return answer{}, fmt.Errorf("answer: log_ret_code: %w", err)
			}
			a.ret = ret
		}
	}
	if a.ret == 0 {
		return answer{}, errors.New("answer: the command's exit status is missing")
	}
	return a, nil
}

// messages returns the messages of the given types, a line each.
func (a answer) messages(types ...string) string {
	var b strings.Builder
	for _, e := range a.Log {
		for _, t := range types {
			if e.Type == t {
				b.WriteString(e.Message)
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// result is what the command would have returned as a process of its own.
func (a answer) result(argv []string) (Output, error) {
	out := Output{Stdout: a.raw, Stderr: a.messages("error", "warn")}
	if a.Report == nil {
		out.Stdout = []byte(a.messages("print"))
	}
	if a.ret != retProcessed {
		return out, &CommandError{Argv: argv, ExitCode: a.ret, Stderr: out.Stderr}
	}
	return out, nil
}
