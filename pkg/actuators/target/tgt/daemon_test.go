package tgt

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
	"github.com/volreconciler/volreconciler/test/tgtd"
)

const (
	iqn       = "iqn.2026-11.io.volreconciler:db"
	initiator = "iqn.1993-08.org.debian:tester"
	stranger  = "iqn.1993-08.org.debian:stranger"
	lvUUID    = "NgKyJa-8gzQ-lUek-5xem-jYFo-JLBc-OE6weK"
	otherUUID = "MgKyJa-8gzQ-lUek-5xem-jYFo-JLBc-OE6weK"
	password  = "twelve-bytes-and-more"
	password2 = "another-of-twelve"

	mib = 1 << 20
)

var db = change.Target{Fabric: observe.TGTISCSI, Name: iqn, Export: "db"}

// node is a real tgtd on a machine in memory, whose logical volumes are files.
type node struct {
	*fakehost.Host
	*Actuator
	daemon *tgtd.Daemon
	portal netip.AddrPort
	dir    string
	// left is how many requests get an answer; negative: all. lost says that
	// the last one is done all the same.
	left atomic.Int64
	lost bool
}

// newNode starts a tgtd of the spec's own, or skips the spec where there is none.
func newNode(ctx context.Context, volumes ...fakehost.LogicalVolume) *node {
	GinkgoHelper()
	n := &node{daemon: tgtd.Start(), dir: GinkgoT().TempDir()}
	n.portal = n.daemon.Portal
	n.left.Store(-1)
	var err error
	n.Host, err = fakehost.New(fakehost.Node{
		APIVersion: fakehost.APIVersion, Kind: "Node",
		VolumeGroups: []fakehost.VolumeGroup{{
			Name: "vg0", UUID: "vg0000-0000-0000-0000-0000-0000-000000", ExtentSize: 4 * mib, Extents: 1000, LogicalVolumes: volumes,
		}},
	})
	Expect(err).NotTo(HaveOccurred())

	n.Actuator = New(tgtadm.New(n.dial), n.Host, n.file)
	n.ready(ctx)
	DeferCleanup(func() {
		Expect(n.daemon.Log()).NotTo(Or(ContainSubstring(password), ContainSubstring(password2)))
	})
	return n
}

// restart starts tgtd anew, with nothing in it.
func (n *node) restart(ctx context.Context) {
	GinkgoHelper()
	n.daemon.Restart()
	n.ready(ctx)
}

func (n *node) ready(ctx context.Context) {
	GinkgoHelper()
	Eventually(ctx, n.tgt.System).WithContext(ctx).Should(HaveField("Ready", true))
}

// exporting is a node with the volumes db and other.
func exporting(ctx context.Context) *node {
	GinkgoHelper()
	lv := func(name, uuid string, readOnly bool) fakehost.LogicalVolume {
		return fakehost.LogicalVolume{Name: name, UUID: uuid, Type: "thick", Size: 64 * mib, Active: true, ReadOnly: readOnly}
	}
	return newNode(ctx, lv("db", lvUUID, false), lv("other", otherUUID, false))
}

var errCut = errors.New("the agent dies here")

// dial connects to tgtd, as long as there are requests left.
func (n *node) dial(ctx context.Context) (net.Conn, error) {
	left := n.left.Load()
	if left > 0 {
		n.left.Add(-1)
	}
	if left == 0 && !n.lost {
		return nil, errCut
	}
	conn, err := n.daemon.Dial(ctx)
	if left == 0 && err == nil {
		return deaf{conn}, nil
	}
	return conn, err
}

// deaf is a connection whose peer does what it is told, and nobody hears of it.
type deaf struct{ net.Conn }

func (c deaf) Read([]byte) (int, error) {
	_, _ = io.ReadAll(c.Conn)
	return 0, errCut
}

// file is what stands for the device of a logical volume, as large as that is.
func (n *node) file(device string) string {
	name := filepath.Base(device)
	file := filepath.Join(n.dir, "lv-"+name)
	for _, lv := range n.Node().VolumeGroups[0].LogicalVolumes {
		if lv.Name == name {
			f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
			if err == nil {
				_ = f.Truncate(int64(lv.Size))
				_ = f.Close()
			}
		}
	}
	return file
}

func (n *node) grow(volume string, size uint64) {
	GinkgoHelper()
	Expect(n.Edit(func(node *fakehost.Node) {
		for i := range node.VolumeGroups[0].LogicalVolumes {
			if lv := &node.VolumeGroups[0].LogicalVolumes[i]; lv.Name == volume {
				lv.Size = size
			}
		}
	})).To(Succeed())
}

// apply applies changes, twice each.
func (n *node) apply(ctx context.Context, changes ...change.Change) {
	GinkgoHelper()
	for _, c := range changes {
		for range 2 {
			Expect(n.Apply(ctx, c)).To(Succeed(), c.String())
		}
	}
}

// seen returns a target as it is observed.
func (n *node) seen(ctx context.Context, iqn string) (observe.Target, bool) {
	GinkgoHelper()
	state := observe.NewWithTGT(n.Host, n.tgt).Observe(ctx)
	Expect(state.Unknown).To(BeEmpty())
	t, ok := state.TGT[iqn]
	return t, ok
}

// auth is that of the target of these users, all with a password of their own.
func auth(accounts ...string) observe.TargetAuth {
	var a observe.TargetAuth
	for i := 0; i+1 < len(accounts); i += 2 {
		a.Accounts = append(a.Accounts, ondisk.Account{Username: accounts[i], Password: spec.NewSecret(accounts[i+1])})
	}
	return a
}

var needed = change.Auth{Username: "u", Password: spec.NewSecret(password)}

// export are the changes that export a volume to an initiator with a password.
func export() []change.Change {
	return []change.Change{
		change.CreateTarget{Target: db},
		change.SetAccounts{Target: db, Auth: auth("u", password)},
		change.AddLUN{Target: db, LUN: 0, Device: "/dev/vg0/db", LVUUID: lvUUID},
		change.AddInitiator{Target: db, Initiator: initiator, Auth: needed},
	}
}

// open are those that export it to an initiator without.
func open() []change.Change {
	return []change.Change{
		change.CreateTarget{Target: db},
		change.AddLUN{Target: db, LUN: 0, Device: "/dev/vg0/db", LVUUID: lvUUID},
		change.AddInitiator{Target: db, Initiator: initiator},
	}
}

// login logs an initiator in, without a password, and keeps the session until the
// spec ends. It returns the status that the target answered; 0: logged in.
func (n *node) login(name string) (net.Conn, int) {
	GinkgoHelper()
	return n.daemon.Login(name, "", iqn)
}

// iscsi runs one of libiscsi's tools against a LUN, or skips the spec. credentials
// are user%password@.
func (n *node) iscsi(ctx context.Context, name, credentials string, lun int, tool ...string) (string, error) {
	GinkgoHelper()
	return n.daemon.ISCSI(ctx, name, credentials, iqn, observe.TGTLUN(lun), tool...)
}

// user is how libiscsi is given a user and a password, which it does not decode.
func user(name, password string) string { return name + "%" + password + "@" }

// identification asks for the page of LUN 0 by which initiators tell devices.
func identification(conn net.Conn) []byte {
	GinkgoHelper()
	const length = 252
	pdu := make([]byte, 48)
	pdu[0], pdu[1] = 0x01, 0xc1 // SCSI command, one PDU, that reads
	pdu[9] = byte(observe.TGTLUN(0))
	pdu[19] = 1      // task tag
	pdu[23] = length // expected
	copy(pdu[32:], []byte{0x12, 1, 0x83, 0, length})
	_, err := conn.Write(pdu)
	Expect(err).NotTo(HaveOccurred())
	head, data := tgtd.ReadPDU(conn)
	Expect(head[0]).To(BeEquivalentTo(0x25), "data")
	return data
}
