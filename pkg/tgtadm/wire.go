package tgtadm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Operations and modes as in tgt's usr/tgtadm.h.
const (
	opNew uint32 = iota
	opDelete
	opShow
	opBind
	opUnbind
	opUpdate
	opStats
)

const (
	modeSystem uint32 = iota
	modeTarget
	modeLUN
	modePortal
	modeDriver
	_ // sessions
	modeConnection
	modeAccount
)

// driver is the only one of tgtd's drivers that is spoken to.
const driver = "iscsi"

// everyTarget is the target ID that stands for none in particular: show lists
// all of them, and accounts are those of discovery.
const everyTarget = -1

const (
	driverSize   = 64
	headerSize   = 120
	responseSize = 8
	// maxText is how much text tgtd takes in a request (MAX_MGT_BUFSIZE).
	maxText = 8 << 10
	// maxAnswer is how long an answer may be. A target with one logical unit
	// takes about a kilobyte.
	maxAnswer = 64 << 20
)

// request is struct tgtadm_req and the text that follows it.
type request struct {
	mode, op   uint32
	tid        int32
	sid, lun   uint64
	cid        uint32
	deviceType uint32
	direction  Direction
	force      bool
	text       string
}

// encode renders a request in the byte order of this machine, which is the
// daemon's. The C structure has no padding: the two 64-bit members lie at 80
// and 88.
//
// The text always ends in a zero byte, and is always there where the daemon
// expects one: it does not check either before it reads.
func (r request) encode() []byte {
	size := headerSize
	if r.text != "" {
		size += len(r.text) + 1
	}
	b := make([]byte, size)
	order := binary.NativeEndian
	order.PutUint32(b[0:], r.mode)
	order.PutUint32(b[4:], r.op)
	copy(b[8:8+driverSize], driver)
	order.PutUint32(b[72:], uint32(size))
	order.PutUint32(b[76:], uint32(r.tid))
	order.PutUint64(b[80:], r.sid)
	order.PutUint64(b[88:], r.lun)
	order.PutUint32(b[96:], r.cid)
	// 100: host_no, which iSCSI has not.
	order.PutUint32(b[104:], r.deviceType)
	order.PutUint32(b[108:], uint32(r.direction))
	// 112: pack, which is unused.
	if r.force {
		order.PutUint32(b[116:], 1)
	}
	copy(b[headerSize:], r.text)
	return b
}

// readAnswer reads struct tgtadm_rsp and the text that follows it.
func readAnswer(r io.Reader) (string, error) {
	var head [responseSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return "", ErrNoAnswer
		}
		return "", fmt.Errorf("cannot read the answer: %w", err)
	}
	code, size := binary.NativeEndian.Uint32(head[0:]), binary.NativeEndian.Uint32(head[4:])
	if code != 0 {
		return "", Code(code)
	}
	if size < responseSize || size > maxAnswer {
		return "", fmt.Errorf("the answer announces %d bytes; expected %d to %d", size, responseSize, maxAnswer)
	}
	text := make([]byte, size-responseSize)
	if n, err := io.ReadFull(r, text); err != nil {
		return "", fmt.Errorf("the answer ends after %d of %d bytes: %w", n, len(text), err)
	}
	// The daemon's text is a C string and the byte that ends it.
	if n := len(text); n > 0 && text[n-1] == 0 {
		text = text[:n-1]
	}
	return string(text), nil
}
