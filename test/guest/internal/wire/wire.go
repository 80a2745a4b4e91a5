// Package wire is the conversation between the host and the program that is
// PID 1 in the guest: JSON values, one per line, over any byte stream.
//
// A [Client] asks for commands to be run, several at a time if it likes;
// [Serve] answers. The same two ends also talk over a unix socket when a guest
// is shared by several processes of a developer. The package itself runs
// nothing and knows neither QEMU nor the guest.
package wire

import "io"

// Command is a program to run in the guest.
type Command struct {
	Argv []string `json:"argv"`
	// Env is added to the environment that every command in the guest has.
	Env []string `json:"env,omitempty"`
	// Dir is the working directory, / if empty.
	Dir   string `json:"dir,omitempty"`
	Stdin []byte `json:"stdin,omitempty"`

	// Stdout and Stderr receive output as it comes; nil discards it. They stay
	// on the client's side.
	Stdout io.Writer `json:"-"`
	Stderr io.Writer `json:"-"`
}

// request asks for a command, or, without one, cancels the earlier request of
// the same ID.
type request struct {
	ID      uint64   `json:"id"`
	Command *Command `json:"command,omitempty"`
}

// reply carries output of a request or ends it. The first reply with ID 0 says that
// the server is ready, further ones how many bytes of requests it has read since the
// last (see window.go).
type reply struct {
	ID     uint64 `json:"id"`
	Read   int    `json:"read,omitempty"`
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	End    *end   `json:"end,omitempty"`
}

type end struct {
	ExitCode int    `json:"exitCode"`
	Error    string `json:"error,omitempty"`
}
