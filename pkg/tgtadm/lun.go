package tgtadm

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// BackingStore is a new logical unit's backing.
type BackingStore struct {
	// Path is the device or file.
	Path string
	// Type is how it is read and written; the daemon's default, rdwr, is the one
	// that can be opened again in place ([Client.Reopen]). aio cannot: with it
	// the daemon loses the device when it opens it a second time.
	Type string
	// Flags are "direct" (bypass the page cache), "sync", or both with a colon
	// between.
	Flags string
	// BlockSize is that of the logical unit in bytes; 0: 512.
	BlockSize uint32
}

// typeDisk is the SCSI device type of a disk.
const typeDisk = 0

// maxLUN is the highest number that initiators can address: the daemon knows
// no longer form than that of 14 bits.
const maxLUN = 1<<14 - 1

// maxPath is how long the path of a backing store may be in an update.
const maxPath = 1023

// NewLUN adds a disk to a target and opens its backing store. Initiators that
// are logged in are notified. [ErrLUNExists] says that the number is taken, which
// is always so for 0; [ErrInvalid] that the backing store cannot be opened.
//
// It is writable at once, and has an ID and a serial number that depend on the
// numbers of target and unit: whoever wants others sets them
// ([Client.UpdateLUN]) before an initiator may log in.
func (c *Client) NewLUN(ctx context.Context, tid int32, lun uint64, store BackingStore) error {
	what := fmt.Sprintf("create logical unit %d of target %d on %s", lun, tid, store.Path)
	text := "path=" + store.Path
	if store.Type != "" {
		text += ",bstype=" + store.Type
	}
	if store.Flags != "" {
		text += ",bsoflags=" + store.Flags
	}
	if store.BlockSize != 0 {
		text += ",blocksize=" + strconv.FormatUint(uint64(store.BlockSize), 10)
	}
	err := firstError(checkTID(tid), checkPath(store.Path))
	if err == nil && lun > maxLUN {
		err = fmt.Errorf("initiators cannot reach logical units above %d", maxLUN)
	}
	if err == nil && strings.ContainsAny(store.Type+store.Flags, ",\n") {
		err = fmt.Errorf("type %q or flags %q contain a comma or a line break", store.Type, store.Flags)
	}
	if err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeLUN, op: opNew, tid: tid, lun: lun, deviceType: typeDisk, text: text})
}

// DeleteLUN removes a logical unit and closes its backing store, also under
// live sessions, which are notified. [ErrLUNBusy] says that a command is in flight;
// try again, or close the sessions first. Logical unit 0 cannot be removed
// ([ErrInvalid]).
func (c *Client) DeleteLUN(ctx context.Context, tid int32, lun uint64) error {
	what := fmt.Sprintf("delete logical unit %d of target %d", lun, tid)
	if err := checkTID(tid); err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeLUN, op: opDelete, tid: tid, lun: lun})
}

// Parameter is a parameter of a logical unit: scsi_id and scsi_sn (36 bytes at
// most, longer ones are cut off), vendor_id (8), product_id (16), product_rev
// (4), readonly, thin_provisioning, removable, online (0 or 1), rotation_rate,
// lbppbe, optimal_xfer_len and others.
type Parameter struct{ Name, Value string }

// UpdateLUN sets parameters of a logical unit, in this order, in one request. A
// parameter that fails stops none of the later ones, and its error is lost if
// a later one that can fail does not: those that can fail go alone.
func (c *Client) UpdateLUN(ctx context.Context, tid int32, lun uint64, params ...Parameter) error {
	parts := make([]string, len(params))
	err := checkTID(tid)
	for i, p := range params {
		parts[i] = p.Name + "=" + p.Value
		err = firstError(err, checkText("the parameter's name", p.Name, "=,"), checkText("the parameter's value", p.Value, ","))
	}
	text := strings.Join(parts, ",")
	what := fmt.Sprintf("update logical unit %d of target %d %s", lun, tid, text)
	if err == nil && text == "" {
		return nil
	}
	if err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeLUN, op: opUpdate, tid: tid, lun: lun, text: text})
}

// Reopen closes the backing store of a logical unit and opens path instead,
// which may be the same: the daemon reads a size only when it opens. It is one
// request, so that no command comes in between. If path cannot be opened
// ([ErrInvalid]), the logical unit is left offline, with no backing store and a
// size of 0; Reopen can be called again.
//
// It is not safe under load. Commands run in threads of their own; one of them
// that begins to read while the main thread is between close and open fails
// with a medium error, which initiators pass on to their users: seen within 100
// calls at 17,000 reads per second. What is safe: take the target offline
// ([Client.SetTargetReady]), close its connections, wait until no session is left
// (a session ends when its last command has ended), Reopen, and make the target
// ready again. Initiators log in again and repeat what was not answered. A
// target without sessions needs none of it.
//
// Sessions survive, but initiators are not told of a new size: they have to
// look (iscsiadm -m session --rescan).
func (c *Client) Reopen(ctx context.Context, tid int32, lun uint64, path string) error {
	what := fmt.Sprintf("open %s for logical unit %d of target %d", path, lun, tid)
	if err := firstError(checkTID(tid), checkPath(path)); err != nil {
		return &RequestError{Request: what, Err: err}
	}
	return c.change(ctx, what, request{mode: modeLUN, op: opUpdate, tid: tid, lun: lun, text: "online=0,path=" + path})
}

// InFlight returns how many reads and writes of a logical unit were begun and
// have not ended. Other commands, a flush for one, are not counted.
func (c *Client) InFlight(ctx context.Context, tid int32, lun uint64) (uint64, error) {
	what := fmt.Sprintf("statistics of logical unit %d of target %d", lun, tid)
	if err := checkTID(tid); err != nil {
		return 0, &RequestError{Request: what, Err: err}
	}
	text, err := c.do(ctx, what, request{mode: modeLUN, op: opStats, tid: tid, lun: lun})
	if err != nil {
		return 0, err
	}
	n, err := parseInFlight(text)
	if err != nil {
		return 0, &RequestError{Request: what, Err: err}
	}
	return n, nil
}

// parseInFlight reads the daemon's statistics: a heading, then a line per
// session. Columns: target, unit, session; bytes and commands of reads begun,
// reads done, writes begun, writes done; errors.
func parseInFlight(text string) (uint64, error) {
	var n uint64
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if i == 0 || line == "" {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 12 {
			return 0, fmt.Errorf("cannot parse statistics: %d columns instead of 12: %q", len(fields), line)
		}
		var v [12]uint64
		for j, f := range fields {
			var err error
			if v[j], err = strconv.ParseUint(f, 10, 64); err != nil {
				return 0, fmt.Errorf("cannot parse statistics: %w", err)
			}
		}
		if v[4] < v[6] || v[8] < v[10] {
			return 0, fmt.Errorf("cannot parse statistics: more commands done than begun: %q", line)
		}
		n += v[4] - v[6] + v[8] - v[10]
	}
	return n, nil
}

func checkPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("the path %q is not absolute", path)
	case len(path) > maxPath:
		return fmt.Errorf("the path has %d bytes; at most %d are allowed", len(path), maxPath)
	case strings.ContainsAny(path, ",\n\r"):
		return fmt.Errorf("the path %q contains a comma or a line break", path)
	}
	return nil
}
