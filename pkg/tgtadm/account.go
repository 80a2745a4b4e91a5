package tgtadm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Direction is who proves itself to whom by an account.
type Direction uint32

// Incoming accounts are those of initiators, the outgoing account is the
// target's own (mutual CHAP). A target has at most one outgoing account.
const (
	Incoming Direction = iota
	Outgoing
)

// Discovery is the target ID to bind accounts to that are asked for in
// discovery sessions.
const Discovery = int32(everyTarget)

// Accounts returns the names of all accounts, the newest first. Passwords cannot
// be read.
func (c *Client) Accounts(ctx context.Context) ([]string, error) {
	text, err := c.do(ctx, "show accounts", request{mode: modeAccount, op: opShow, tid: everyTarget})
	if err != nil {
		return nil, err
	}
	names, err := parseAccounts(text)
	if err != nil {
		return nil, &RequestError{Request: "show accounts", Err: err}
	}
	return names, nil
}

func parseAccounts(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "Account list:" {
		return nil, fmt.Errorf("cannot parse the list of accounts: it begins with %q", lines[0])
	}
	return indented(lines[1:], tab1)
}

// NewAccount makes an account, bound to no target. [ErrAccountExists] says that
// the name is taken, whatever its password.
func (c *Client) NewAccount(ctx context.Context, name, password string) error {
	what := fmt.Sprintf("create account %q", name)
	err := checkText("the account's name", name, ",")
	switch {
	case err != nil:
	case password == "":
		err = errors.New("the password is empty")
	case len(password) > MaxName:
		err = fmt.Errorf("the password has %d bytes; at most %d are allowed", len(password), MaxName)
	}
	if err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeAccount, op: opNew, tid: everyTarget, text: "user=" + name + ",password=" + password})
}

// DeleteAccount deletes an account. It must not be bound to any target: the
// daemon would unbind it from all of them, with all that comes of it, see
// [Client.UnbindAccounts].
func (c *Client) DeleteAccount(ctx context.Context, name string) error {
	what := fmt.Sprintf("delete account %q", name)
	if err := checkText("the account's name", name, ","); err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeAccount, op: opDelete, tid: everyTarget, text: "user=" + name})
}

// BindAccount binds an account to a target. From the first incoming account on,
// the target asks for a password. [ErrAccountExists] says that it is bound as
// incoming already, [ErrOutgoingExists] that there is an outgoing account,
// this one or another.
func (c *Client) BindAccount(ctx context.Context, tid int32, name string, d Direction) error {
	return c.account(ctx, opBind, tid, name, d)
}

// UnbindOutgoing unbinds a target's outgoing account; [ErrNoAccount] says that
// it is another one.
func (c *Client) UnbindOutgoing(ctx context.Context, tid int32, name string) error {
	return c.account(ctx, opUnbind, tid, name, Outgoing)
}

// ErrWouldOpen is accounts that cannot be taken away, because in between the
// target would ask nobody for a password.
var ErrWouldOpen = errors.New("the target would temporarily accept initiators without a password; " +
	"an account to keep must be the first in its list")

// UnbindAccounts takes incoming accounts away from a target. bound is the list
// of its incoming accounts in the daemon's order ([Target].Incoming).
//
// The daemon must never have a free slot before one in use (see the package
// comment), so accounts are unbound from the last one on, and those that stay
// bound again, in their order. Meanwhile these cannot log in; their sessions
// continue. If this would leave the target without any account in between,
// nothing is done and the error is [ErrWouldOpen]. Taking all accounts away is
// no such case.
func (c *Client) UnbindAccounts(ctx context.Context, tid int32, bound []string, remove ...string) error {
	unbind, rebind, err := unbindOrder(bound, remove)
	if err != nil {
		return &RequestError{Request: fmt.Sprintf("unbind accounts %q of target %d", remove, tid), Err: err}
	}
	for _, name := range unbind {
		if err := c.account(ctx, opUnbind, tid, name, Incoming); err != nil {
			return err
		}
	}
	for _, name := range rebind {
		if err := c.account(ctx, opBind, tid, name, Incoming); err != nil {
			return err
		}
	}
	return nil
}

// unbindOrder says which accounts to unbind and which to bind then.
func unbindOrder(bound, remove []string) (unbind, rebind []string, err error) {
	begin := slices.IndexFunc(bound, func(name string) bool { return slices.Contains(remove, name) })
	if begin < 0 {
		return nil, nil, nil
	}
	for _, name := range bound[begin:] {
		if !slices.Contains(remove, name) {
			rebind = append(rebind, name)
		}
	}
	if begin == 0 && len(rebind) > 0 {
		return nil, nil, ErrWouldOpen
	}
	unbind = slices.Clone(bound[begin:])
	slices.Reverse(unbind)
	return unbind, rebind, nil
}

func (c *Client) account(ctx context.Context, op uint32, tid int32, name string, d Direction) error {
	verb, kind := "bind", "incoming"
	if op == opUnbind {
		verb = "unbind"
	}
	if d == Outgoing {
		kind = "outgoing"
	}
	what := fmt.Sprintf("%s %s account %q of target %d", verb, kind, name, tid)
	err := checkText("the account's name", name, ",")
	if tid != Discovery {
		err = firstError(err, checkTID(tid))
	}
	if err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeAccount, op: op, tid: tid, direction: d, text: "user=" + name})
}
