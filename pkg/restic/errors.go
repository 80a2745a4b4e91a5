package restic

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

// What an [Error] is, as far as it is known.
var (
	// ErrLocked: somebody else works on the repository, or died while doing so. See [Repository.Unlock].
	ErrLocked = errors.New("the repository is locked")
	// ErrPassword: no key of the repository is opened by the password.
	ErrPassword = errors.New("wrong password")
	// ErrMissing: there is no repository.
	ErrMissing = errors.New("there is no repository at this address")
	// ErrIncomplete: a snapshot was made, but some files could not be read.
	ErrIncomplete = errors.New("some data could not be read; the snapshot is incomplete")
	// ErrFull: there is no space left where the repository is.
	ErrFull = errors.New("no space left in the repository")
	// ErrReadOnly: the repository cannot be written to.
	ErrReadOnly = errors.New("the repository cannot be written to")
	// ErrUnreachable: the repository does not answer. Who wants to know what is in it does not wait for long.
	ErrUnreachable = errors.New("the repository does not answer")
	// ErrNoSnapshot: a snapshot does not exist, or no longer.
	ErrNoSnapshot = errors.New("there is no such snapshot")
	// ErrNoPath: a snapshot has nothing at a path.
	ErrNoPath = errors.New("the snapshot does not contain it")
	// ErrNoProgram: restic is not installed.
	ErrNoProgram = errors.New("restic is not installed; install the package restic")
)

// Error is a start of restic that failed. [errors.Is] finds one of the errors above in it.
type Error struct {
	Command    string // such as backup
	Repository string // without credentials
	ExitCode   int    // -1: it was not started, or ended by a signal
	Output     string // restic's last lines, without secrets
	Err        error
}

// Error says which command failed, why, and what restic said.
func (e *Error) Error() string {
	text := fmt.Sprintf("restic %s (%s): %v", e.Command, e.Repository, e.Err)
	if e.Output != "" {
		text += ": " + e.Output
	}
	return text
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

func (r Repository) newError(command string, code int, said string, err error) *Error {
	e := &Error{Command: command, Repository: r.String(), ExitCode: code, Output: r.redact(said)}
	kind := classify(code, said)
	switch {
	case errors.Is(err, exec.ErrNotFound), code == 127:
		// env, which changes the directory, says so with 127.
		e.Err = ErrNoProgram
	case err != nil && kind != nil:
		e.Err = fmt.Errorf("%w (%w)", kind, err)
	case err != nil:
		e.Err = publicurl.Error(err)
	case kind != nil:
		e.Err = kind
	default:
		e.Err = fmt.Errorf("exit status %d", code)
	}
	return e
}

// texts are what restic 0.14 to 0.19 and its backends say, in lower case. restic before 0.17
// has exit status 1 for everything but an incomplete snapshot.
var texts = []struct {
	text string
	is   error
}{
	{"wrong password or no key found", ErrPassword},
	{"unable to create lock in backend: repository is already locked", ErrLocked},
	{"repository is already locked", ErrLocked},
	{"no space left on device", ErrFull},
	{"disk quota exceeded", ErrFull},
	{"insufficient storage", ErrFull},
	{"quotaexceeded", ErrFull},
	{"read-only file system", ErrReadOnly},
	{"repository does not exist", ErrMissing},
	{"no matching id found", ErrNoSnapshot},
	{"no snapshot found", ErrNoSnapshot},
	{"not found in snapshot", ErrNoPath},
	{"access denied", ErrReadOnly},
	{"permission denied", ErrReadOnly},
	{"403 forbidden", ErrReadOnly},
}

// classify tells what an exit status means, or nil. The status has precedence over the text.
func classify(code int, said string) error {
	switch code {
	case 3:
		return ErrIncomplete
	case 10:
		return ErrMissing
	case 11:
		return ErrLocked
	case 12:
		return ErrPassword
	}
	said = strings.ToLower(said)
	for _, t := range texts {
		if strings.Contains(said, t.text) {
			return t.is
		}
	}
	if _, why, ok := strings.Cut(said, "unable to open config file:"); ok && isAbsent(why) {
		return ErrMissing
	}
	return nil
}

// isAbsent reports whether a server answered that there is no config file. restic asks "Is there a repository at
// the following location?" after every other failure too, such as a refused connection.
func isAbsent(why string) bool {
	why, _, _ = strings.Cut(why, "is there a repository")
	return slices.ContainsFunc([]string{"does not exist", "doesn't exist", "no such file or directory", "not found", "404"},
		func(text string) bool { return strings.Contains(why, text) })
}

// shownLines is how much of what restic said is shown, in lines and in bytes.
const (
	shownLines = 4
	shownBytes = 600
)

// redact returns the last lines of what restic said, as one, without secrets.
func (r Repository) redact(said string) string {
	for _, secret := range r.secrets() {
		said = strings.ReplaceAll(said, secret, "<hidden>")
	}
	said = strings.ReplaceAll(said, r.URL, r.String())
	said = publicurl.InText(said)
	var lines []string
	for line := range strings.Lines(said) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	if n := len(lines); n > shownLines {
		lines = lines[n-shownLines:]
	}
	text := strings.Join(lines, "; ")
	if n := len(text); n > shownBytes {
		text = "…" + strings.ToValidUTF8(text[n-shownBytes:], "")
	}
	return text
}
