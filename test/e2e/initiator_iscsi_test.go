package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest"
)

// iscsiInitiator is open-iscsi over TCP or over RDMA, which is iSER.
type iscsiInitiator struct {
	transport string // as iscsiadm calls it: tcp or iser
	address   string
}

var (
	iscsiTCP  = iscsiInitiator{transport: "tcp", address: "127.0.0.1"}
	iscsiTCP6 = iscsiInitiator{transport: "tcp", address: "::1"}
	iser      = iscsiInitiator{transport: "iser", address: guest.RDMAAddress}
	iser6     = iscsiInitiator{transport: "iser", address: guest.RDMAAddress6}
)

func (i iscsiInitiator) setUp(ctx context.Context) {
	GinkgoHelper()
	if i.transport == "iser" {
		sh(ctx, "set -e\n"+guest.SetUpRDMA+"modprobe -a ib_isert ib_iser")
	}
}

func (i iscsiInitiator) portal() string { return net.JoinHostPort(i.address, "3260") }

func (iscsiInitiator) target(export string) string { return target(export) }

func (iscsiInitiator) host(name string) string { return "iqn.1994-05.com.example:" + name }

func (i iscsiInitiator) connect(ctx context.Context, to attachment) (session, error) {
	GinkgoHelper()
	var settings []string
	if c := to.credentials; c.password != "" {
		settings = chap(c.username, c.password)
		if c.targetPassword != "" {
			settings = append(settings, mutualCHAP(c.targetUsername, c.targetPassword)...)
		}
	}
	iface := ifaceName(to.host) + "-" + i.transport
	r := loginOver(ctx, i.transport, iface, to.target, to.portal, to.host, settings...)
	if r.ExitCode != 0 {
		return nil, errors.New(strings.TrimSpace(r.Stdout + r.Stderr))
	}
	return iscsiSession{target: to.target, iface: iface}, nil
}

// iscsiSession is found by what logged in to what: its number is the kernel's.
type iscsiSession struct{ target, iface string }

// directory is a pattern of a shell for the session's directory in sysfs.
func (s iscsiSession) directory() string {
	return fmt.Sprintf(`$(for s in /sys/class/iscsi_session/session*; do
		[ "$(cat $s/targetname $s/ifacename 2>/dev/null | xargs)" = "%s %s" ] && echo $s
	done)`, s.target, s.iface)
}

func (s iscsiSession) luns(ctx context.Context) map[int]string {
	GinkgoHelper()
	return scsiLUNs(ctx, `$(for s in `+s.directory()+`; do echo $s/device/target*; done)`)
}

func (s iscsiSession) rescan(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, `for s in `+s.directory()+`; do iscsiadm -m session -r ${s##*session} -R; done; udevadm settle`)
}

func (s iscsiSession) live(ctx context.Context) bool {
	GinkgoHelper()
	return try(ctx, `for s in `+s.directory()+`; do grep -q LOGGED_IN $s/state && exit 0; done; exit 1`).ExitCode == 0
}

func (s iscsiSession) disconnect(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf("iscsiadm -m node -T %s -I %s -u && udevadm settle", s.target, s.iface))
}

// handmadeISCSI exports devices as LUNs 0, 1, … by hand, to one host.
func handmadeISCSI(ctx context.Context, i iscsiInitiator, name, host string, devices []string, c credentials) {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf(`set -e
		cd /sys/kernel/config/target; tpg=iscsi/%s/tpgt_1; acl=$tpg/acls/%s
		mkdir -p iscsi; mkdir -p $tpg $acl "$tpg/np/%s"
		if [ %s = iser ]; then echo 1 > "$tpg/np/%[3]s/iser"; fi
		authenticate=0; [ -z "%[6]s" ] || authenticate=1
		echo $authenticate > $tpg/attrib/authentication
		if [ $authenticate = 1 ]; then
			printf %%s "%[5]s" > $acl/auth/userid; printf %%s "%[6]s" > $acl/auth/password
			printf %%s "%[7]s" > $acl/auth/userid_mutual; printf %%s "%[8]s" > $acl/auth/password_mutual
		fi
		lun=0; for device in %[9]s; do
			store=core/iblock_0/lun$lun; mkdir -p $store
			printf "udev_path=$device" > $store/control; echo 1 > $store/enable
			mkdir $tpg/lun/lun_$lun; ln -s $PWD/$store $tpg/lun/lun_$lun/store
			mkdir $acl/lun_$lun; ln -s $PWD/$tpg/lun/lun_$lun $acl/lun_$lun/lun
			lun=$((lun+1))
		done
		echo 1 > $tpg/enable`,
		name, host, i.portal(), i.transport, c.username, c.password, c.targetUsername, c.targetPassword, strings.Join(devices, " ")))
}

var _ = DescribeTable("An iSCSI host",
	func(ctx SpecContext, i iscsiInitiator) {
		i.setUp(ctx)
		devices := volumes(ctx, "one", "two")
		mutual := credentials{username: "db", password: "correct-horse", targetUsername: "node", targetPassword: "battery-staple"}
		wrong := mutual
		wrong.password = "wrong-password"
		db := attachment{target: i.target("data"), portal: i.portal(), host: i.host("db"), credentials: mutual}
		stranger, liar := db, db
		stranger.host, liar.credentials = i.host("stranger"), wrong
		handmadeISCSI(ctx, i, db.target, db.host, devices, mutual)

		By("connecting")
		s := mustConnect(ctx, i, db)
		one := device(ctx, s, 0)
		Expect(device(ctx, s, 1)).NotTo(Equal(one))
		fill(ctx, one, "data", 4)
		Expect(content(ctx, devices[0], 4)).To(Equal(content(ctx, one, 4)))
		Expect(s.live(ctx)).To(BeTrue())
		Expect(sh(ctx, "cat /sys/class/iscsi_session/session*/ifacename")).To(HaveSuffix(i.transport))

		By("growing")
		sh(ctx, "lvextend -qq -L 128m vg0/one")
		s.rescan(ctx)
		Expect(size(ctx, one)).To(Equal(uint64(128 << 20)))
		Expect(writes(ctx, one)).To(BeTrue())

		By("disconnecting")
		s.disconnect(ctx)
		Expect(s.luns(ctx)).To(BeEmpty())
		Expect(s.live(ctx)).To(BeFalse())

		By("refusing a stranger and a wrong password")
		for _, refused := range []attachment{stranger, liar} {
			_, err := i.connect(ctx, refused)
			Expect(err).To(HaveOccurred())
			AddReportEntry("refused", err.Error())
		}
	},
	Entry("over TCP", iscsiTCP, NodeTimeout(limit)),
	Entry("over TCP and IPv6", iscsiTCP6, NodeTimeout(limit)),
	Entry("over RDMA", iser, NodeTimeout(limit)),
	Entry("over RDMA and IPv6", iser6, NodeTimeout(limit)),
)
