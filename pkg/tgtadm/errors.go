package tgtadm

import (
	"errors"
	"fmt"
)

// Code is why tgtd refused a request: enum tgtadm_errno of its
// usr/tgtadm_error.h. Callers tell them apart by errors.Is.
type Code uint32

// The codes, and what led to each in tests.
const (
	// ErrUnknown is a failure that the daemon has no name for.
	ErrUnknown Code = iota + 1
	// ErrNoMemory: the daemon is out of memory.
	ErrNoMemory
	// ErrNoDriver: the daemon was built or started without iSCSI.
	ErrNoDriver
	// ErrNoTarget: there is no target of that ID.
	ErrNoTarget
	// ErrNoLUN: the target has no logical unit of that number.
	ErrNoLUN
	// ErrNoSession: the target has no such session.
	ErrNoSession
	// ErrNoConnection: the session has no such connection.
	ErrNoConnection
	// ErrNoBinding is of other drivers than iSCSI.
	ErrNoBinding
	// ErrTargetExists: a target has that ID, or that name.
	ErrTargetExists
	// ErrLUNExists: the target has a logical unit of that number.
	ErrLUNExists
	// ErrBindingExists is of other drivers than iSCSI.
	ErrBindingExists
	// ErrACLExists: the access list has that entry.
	ErrACLExists
	// ErrNoACL: the access list has no such entry.
	ErrNoACL
	// ErrAccountExists: there is an account of that name, or it is bound to
	// that target already.
	ErrAccountExists
	// ErrNoAccount: there is no account of that name, or it is not bound to
	// that target.
	ErrNoAccount
	// ErrTooManyAccounts: the daemon can number no more accounts.
	ErrTooManyAccounts
	// ErrInvalid is what the daemon says of nearly everything else: a
	// malformed name, a backing device that cannot be opened, a path that is
	// changed while the logical unit is online, a portal whose address the
	// machine does not have or that is there already.
	ErrInvalid
	// ErrOutgoingExists: the target has an outgoing account, this or another.
	ErrOutgoingExists
	// ErrTargetBusy: initiators are logged in to the target.
	ErrTargetBusy
	// ErrLUNBusy: the logical unit has commands in flight.
	ErrLUNBusy
	// ErrDriverBusy: the driver has targets.
	ErrDriverBusy
	// ErrUnsupported: the daemon knows no such operation.
	ErrUnsupported
	// ErrUnknownParameter: there is no parameter of that name.
	ErrUnknownParameter
	// ErrRemovalPrevented: an initiator forbade the removal of the medium.
	ErrRemovalPrevented
)

// ErrNoAnswer is a daemon that closed the connection instead of answering. It
// does so to peers that run under another user or group ID than its own, when
// it ends, and when the request was its end.
var ErrNoAnswer = errors.New("tgtd closed the connection without an answer; run the agent as the same user and group as tgtd")

var meanings = [...]string{
	ErrUnknown:          "unknown error",
	ErrNoMemory:         "out of memory",
	ErrNoDriver:         "the iscsi driver is missing or not ready",
	ErrNoTarget:         "no such target",
	ErrNoLUN:            "no such logical unit",
	ErrNoSession:        "no such session",
	ErrNoConnection:     "no such connection",
	ErrNoBinding:        "no such binding",
	ErrTargetExists:     "the target ID or name is already used",
	ErrLUNExists:        "the logical unit number is already used",
	ErrBindingExists:    "the binding already exists",
	ErrACLExists:        "the access list already has the entry",
	ErrNoACL:            "the access list does not have the entry",
	ErrAccountExists:    "the account already exists",
	ErrNoAccount:        "no such account",
	ErrTooManyAccounts:  "too many accounts",
	ErrInvalid:          "invalid request; see tgtd's log for the reason",
	ErrOutgoingExists:   "the target already has an outgoing account",
	ErrTargetBusy:       "initiators are logged in to the target",
	ErrLUNBusy:          "the logical unit has commands in flight",
	ErrDriverBusy:       "the driver has targets",
	ErrUnsupported:      "unsupported operation",
	ErrUnknownParameter: "unknown parameter",
	ErrRemovalPrevented: "an initiator prevents the removal of the medium",
}

// Error says what the code means.
func (c Code) Error() string {
	if int(c) < len(meanings) && meanings[c] != "" {
		return meanings[c]
	}
	return fmt.Sprintf("unknown error %d (newer than tgt 1.0.97)", uint32(c))
}

// RequestError is a request that failed.
type RequestError struct {
	// Request says what was asked for, without passwords.
	Request string
	// Err is a [Code], [ErrNoAnswer], or why the daemon could not be spoken to.
	Err error
}

// Error renders what was asked for and why it failed.
func (e *RequestError) Error() string { return "tgtd: " + e.Request + ": " + e.Err.Error() }

// Unwrap returns why it failed.
func (e *RequestError) Unwrap() error { return e.Err }
