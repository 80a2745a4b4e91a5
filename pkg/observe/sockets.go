package observe

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// SocketState is the state of a TCP socket as the kernel writes it.
type SocketState string

// The states that matter, of include/net/tcp_states.h.
const (
	SocketEstablished SocketState = "01"
	SocketListening   SocketState = "0A"
)

// Socket is a TCP socket of this machine.
type Socket struct {
	Local, Remote netip.AddrPort
	State         SocketState
	// Inode identifies it among the open files of processes (/proc/PID/fd); 0: it is the kernel's own.
	Inode uint64
}

// ReadSockets returns the TCP sockets in a state, those of the kernel included.
func ReadSockets(h host.Files, state SocketState) ([]Socket, error) {
	var all []Socket
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := h.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // IPv6 is off
		} else if err != nil {
			return nil, err
		}
		found, err := ParseSockets(string(text), state)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// ParseSockets returns the sockets in a state from the text of /proc/net/tcp or
// /proc/net/tcp6, see proc_pid_net(5).
func ParseSockets(text string, state SocketState) ([]Socket, error) {
	const localField, remoteField, stateField, inodeField = 1, 2, 3, 9
	var all []Socket
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) <= stateField || fields[stateField] != string(state) {
			continue
		}
		local, err := parseSocketAddress(fields[localField])
		if err != nil {
			return nil, err
		}
		remote, err := parseSocketAddress(fields[remoteField])
		if err != nil {
			return nil, err
		}
		s := Socket{Local: local, Remote: remote, State: state}
		if len(fields) > inodeField {
			s.Inode, _ = strconv.ParseUint(fields[inodeField], 10, 64) // what is no number is no process's
		}
		all = append(all, s)
	}
	return all, nil
}

// parseSocketAddress reads 0100007F:0CBC: the address as 32-bit words in the
// machine's byte order, and the port.
func parseSocketAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("socket address %q: %w", text, err)
	}
	for w := words; len(w) >= 4; w = w[4:] {
		binary.NativeEndian.PutUint32(w, binary.BigEndian.Uint32(w))
	}
	addr, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("socket address %q: neither IPv4 nor IPv6", text)
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("socket address %q: %w", text, err)
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}
