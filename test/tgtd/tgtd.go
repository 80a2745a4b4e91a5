// Package tgtd runs a real tgtd for specs, beside whatever this machine runs: on a
// free port, with a socket of its own, and no longer than the spec. Start reading at
// [Start].
package tgtd

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
)

// Daemon is a tgtd.
type Daemon struct {
	// Portal is where it listens for initiators.
	Portal netip.AddrPort

	program string
	socket  string // what tgtd makes of it ends with .0
	cmd     *exec.Cmd
	log     bytes.Buffer
}

// Start starts a tgtd, or skips the spec where there is none. It may take a moment
// until it answers.
func Start() *Daemon {
	ginkgo.GinkgoHelper()
	program, err := exec.LookPath("tgtd")
	if err != nil {
		program = "/usr/sbin/tgtd"
	}
	if _, err := os.Stat(program); err != nil {
		ginkgo.Skip("tgtd is not installed (Debian: tgt)")
	}
	if os.Getuid() != 0 {
		ginkgo.Skip("tgtd runs as root only")
	}
	d := &Daemon{Portal: FreePort(), program: program, socket: filepath.Join(ginkgo.GinkgoT().TempDir(), "s")}
	d.Restart()
	ginkgo.DeferCleanup(func() {
		d.Stop()
		ginkgo.AddReportEntry("tgtd's log", d.log.String(), ginkgo.ReportEntryVisibilityFailureOrVerbose)
	})
	return d
}

// Restart starts it anew, with nothing in it.
func (d *Daemon) Restart() {
	ginkgo.GinkgoHelper()
	d.Stop()
	d.cmd = exec.Command(d.program, "-f", "--iscsi", "portal="+d.Portal.String())
	d.cmd.Env = append(os.Environ(), d.Environment())
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	gomega.Expect(d.cmd.Start()).To(gomega.Succeed())
}

// Stop kills it.
func (d *Daemon) Stop() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		d.cmd = nil
	}
}

// Log stops it and returns what it has logged.
func (d *Daemon) Log() string {
	d.Stop()
	return d.log.String()
}

// Environment is the variable by which tgtadm finds it.
func (d *Daemon) Environment() string { return "TGT_IPC_SOCKET=" + d.socket }

// Dial connects to its management socket.
func (d *Daemon) Dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", d.socket+".0")
}

// FreePort is a place where nobody listens.
func FreePort() netip.AddrPort {
	ginkgo.GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	defer func() { _ = l.Close() }()
	return netip.MustParseAddrPort(l.Addr().String())
}

// Login logs an initiator in to a target, without a password, and keeps the session
// until the spec ends. It returns the connection and the status that the target
// answered; 0: logged in.
func (d *Daemon) Login(initiator, alias, target string) (net.Conn, int) {
	ginkgo.GinkgoHelper()
	conn, err := net.Dial("tcp", d.Portal.String())
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(func() { _ = conn.Close() })
	text := fmt.Sprintf("InitiatorName=%s\x00InitiatorAlias=%s\x00SessionType=Normal\x00TargetName=%s\x00", initiator, alias, target)
	pdu := make([]byte, 48, 48+len(text)+3)
	pdu[0], pdu[1] = 0x43, 0x87 // login; from the operational stage to full feature
	pdu[5], pdu[6], pdu[7] = byte(len(text)>>16), byte(len(text)>>8), byte(len(text))
	pdu[8], pdu[13] = 0x80, 1 // ISID
	pdu = append(pdu, text...)
	for len(pdu)%4 != 0 {
		pdu = append(pdu, 0)
	}
	_, err = conn.Write(pdu)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	head, _ := ReadPDU(conn)
	return conn, int(binary.BigEndian.Uint16(head[36:]))
}

// ReadPDU reads a message of the target's: its head and its data.
func ReadPDU(conn net.Conn) (head, data []byte) {
	ginkgo.GinkgoHelper()
	head = make([]byte, 48)
	_, err := io.ReadFull(conn, head)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	size := int(head[5])<<16 | int(head[6])<<8 | int(head[7])
	data = make([]byte, (size+3)/4*4)
	_, err = io.ReadFull(conn, data)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return head, data[:size]
}

// ISCSI runs one of libiscsi's tools against a logical unit, or skips the spec.
// credentials are user%password@, or nothing.
func (d *Daemon) ISCSI(ctx context.Context, initiator, credentials, target string, unit uint64, tool ...string) (string, error) {
	ginkgo.GinkgoHelper()
	if _, err := exec.LookPath(tool[0]); err != nil {
		ginkgo.Skip(tool[0] + " is not installed (Debian: libiscsi-bin)")
	}
	url := fmt.Sprintf("iscsi://%s%s/%s/%d", credentials, d.Portal, target, unit)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool[0], append(append(tool[1:], "-i", initiator), url)...)
	cmd.Env = append(os.Environ(), "LIBISCSI_CHAP_TARGET_USERNAME=", "LIBISCSI_CHAP_TARGET_PASSWORD=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Load has libiscsi read from a logical unit for a while. The function that it
// returns waits for its end and returns what it said.
func (d *Daemon) Load(ctx context.Context, initiator, credentials, target string, unit uint64, long time.Duration) (wait func() string) {
	ginkgo.GinkgoHelper()
	path, err := exec.LookPath("iscsi-perf")
	if err != nil {
		ginkgo.Skip("iscsi-perf is not installed (Debian: libiscsi-bin)")
	}
	var out bytes.Buffer
	url := fmt.Sprintf("iscsi://%s%s/%s/%d", credentials, d.Portal, target, unit)
	cmd := exec.CommandContext(ctx, path, "-i", initiator, "-m", "16", "-r", "-t", fmt.Sprint(int(long.Seconds())), url)
	cmd.Stdout, cmd.Stderr = &out, &out
	gomega.Expect(cmd.Start()).To(gomega.Succeed())
	return func() string {
		// After a connection was lost it does not always end by itself.
		timer := time.AfterFunc(long+time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait() // what it printed counts
		return strings.ReplaceAll(out.String(), "\r", "\n")
	}
}
