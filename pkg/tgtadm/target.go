package tgtadm

import (
	"context"
	"fmt"
	"strings"
)

// NewTarget makes a target. It is ready and has a controller as logical unit 0,
// but lets no initiator in, as its access lists are empty, and asks for no
// password.
//
// The ID is the caller's choice; [ErrTargetExists] says that it or the name is
// taken.
func (c *Client) NewTarget(ctx context.Context, tid int32, name string) error {
	what := fmt.Sprintf("create target %d, %s", tid, name)
	if err := firstError(checkTID(tid), checkTargetName(name)); err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeTarget, op: opNew, tid: tid, text: "targetname=" + name})
}

// DeleteTarget deletes a target with its logical units and access lists; its
// accounts stay, unbound. [ErrTargetBusy] says that initiators are logged in,
// [ErrLUNBusy] that a command is in flight: logical units with a higher number
// are gone by then, so what has sessions is best closed first.
//
// force cuts live sessions off, but gives [ErrLUNBusy] as well while one of them
// is at work.
func (c *Client) DeleteTarget(ctx context.Context, tid int32, force bool) error {
	what := fmt.Sprintf("delete target %d", tid)
	if err := checkTID(tid); err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeTarget, op: opDelete, tid: tid, force: force})
}

// SetTargetReady switches a target between ready and offline. A target that is
// offline refuses logins with an error after which initiators try again. Its
// sessions stay, but a command that comes meanwhile is never answered: close
// them ([Client.CloseConnection]), so that initiators log in again and repeat
// what was not answered.
func (c *Client) SetTargetReady(ctx context.Context, tid int32, ready bool) error {
	state := "offline"
	if ready {
		state = "ready"
	}
	return c.UpdateTarget(ctx, tid, "state", state)
}

// UpdateTarget sets a parameter of a target: one of iSCSI's session parameters
// by its name in RFC 7143 (MaxBurstLength), MaxQueueCmd, nop_interval or
// nop_count (seconds and a count; both 0: off). New sessions get it.
func (c *Client) UpdateTarget(ctx context.Context, tid int32, name, value string) error {
	what := fmt.Sprintf("update target %d %s=%s", tid, name, value)
	if err := firstError(checkTID(tid), checkText("the parameter's name", name, "=,"), checkText("the parameter's value", value, ",")); err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeTarget, op: opUpdate, tid: tid, text: name + "=" + value})
}

// TargetParameters returns the parameters that [Client.UpdateTarget] sets.
func (c *Client) TargetParameters(ctx context.Context, tid int32) (map[string]string, error) {
	what := fmt.Sprintf("show target %d", tid)
	if err := checkTID(tid); err != nil {
		return nil, &RequestError{Request: what, Err: err}
	}
	text, err := c.do(ctx, what, request{mode: modeTarget, op: opShow, tid: tid})
	if err != nil {
		return nil, err
	}
	params := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			params[name] = value
		}
	}
	return params, nil
}

// AllowInitiator lets the initiator of that name log in to a target.
// [ErrACLExists] says that it may already.
func (c *Client) AllowInitiator(ctx context.Context, tid int32, name string) error {
	return c.acl(ctx, opBind, tid, "initiator-name", name)
}

// ForbidInitiator undoes [Client.AllowInitiator]; [ErrNoACL] says that it may
// not log in. Sessions of that initiator continue.
func (c *Client) ForbidInitiator(ctx context.Context, tid int32, name string) error {
	return c.acl(ctx, opUnbind, tid, "initiator-name", name)
}

// AllInitiators is the address that lets every initiator in.
const AllInitiators = "ALL"

// AllowAddress lets whatever comes from an address (IPv4, IPv6, either with
// "/bits", or [AllInitiators]) log in to a target. The daemon takes any text;
// one that is no address matches nobody. [ErrACLExists] says that it is there.
func (c *Client) AllowAddress(ctx context.Context, tid int32, address string) error {
	return c.acl(ctx, opBind, tid, "initiator-address", address)
}

// ForbidAddress undoes [Client.AllowAddress]; [ErrNoACL] says that there is no
// such entry. Sessions from there continue.
func (c *Client) ForbidAddress(ctx context.Context, tid int32, address string) error {
	return c.acl(ctx, opUnbind, tid, "initiator-address", address)
}

func (c *Client) acl(ctx context.Context, op uint32, tid int32, kind, value string) error {
	verb := "bind"
	if op == opUnbind {
		verb = "unbind"
	}
	what := fmt.Sprintf("%s target %d %s=%s", verb, tid, kind, value)
	err := firstError(checkTID(tid), checkText("the "+kind, value, ""))
	if err == nil && strings.Contains(value, "initiator-") {
		// The daemon looks for the names of the parameters anywhere in the text.
		err = fmt.Errorf("the %s %q contains %q", kind, value, "initiator-")
	}
	if err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeTarget, op: op, tid: tid, text: kind + "=" + value})
}

// CloseConnection cuts a connection of a session off. The initiator may log in
// again at once unless it was forbidden to before. The daemon answers when
// it has marked the connection; look again to see it gone.
func (c *Client) CloseConnection(ctx context.Context, tid int32, session uint64, connection uint32) error {
	what := fmt.Sprintf("delete connection %d of session %d of target %d", connection, session, tid)
	if err := checkTID(tid); err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeConnection, op: opDelete, tid: tid, sid: session, cid: connection})
}

// change sends a request whose answer has no text.
func (c *Client) change(ctx context.Context, what string, r request) error {
	_, err := c.do(ctx, what, r)
	return err
}

// firstError returns the firstError of some errors.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
