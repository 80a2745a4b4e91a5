package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest"
)

// fcInitiator is the initiator of Fibre Channel: every host has a port on the
// guest's fabric. A port's number is its host's number in hosts; the target's is 0.
type fcInitiator struct{}

var fc = fcInitiator{}

// setUp makes the target's port alone: a host's comes with its session.
func (i fcInitiator) setUp(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, "set -e\n"+guest.SetUpFC()+"modprobe tcm_fc")
}

func (fcInitiator) portal() string { return "" }

// target is the same for all exports: the name of the target's port.
func (i fcInitiator) target(string) string { return i.host("target") }

func (fcInitiator) host(name string) string {
	GinkgoHelper()
	return guest.FCPort(hostNumber(name))
}

// plain is a WWPN without its colons, as sysfs has it.
func plain(wwpn string) string { return strings.ReplaceAll(wwpn, ":", "") }

// connect plugs the host in anew. A port that was there before the target was
// would never look at its LUNs. That it takes the target's port for a SCSI target
// says nothing: the port may have logged in to it first, and whoever the target does
// not admit sees no disk.
func (i fcInitiator) connect(ctx context.Context, to attachment) (session, error) {
	GinkgoHelper()
	s := fcSession{target: plain(to.target), host: plain(to.host)}
	for n := range hosts {
		if guest.FCPort(n) == to.host {
			s.port = n
		}
	}
	s.disconnect(ctx)
	sh(ctx, guest.PlugFC(s.port))
	r := try(ctx, fmt.Sprintf(`end=$(($(date +%%s) + %d))
		while [ $(date +%%s) -lt $end ]; do
			for port in %s; do ls -d $port/device/target*/*:*:*:*/block/* >/dev/null 2>&1 && exit 0; done
			sleep 0.5
		done
		grep -r . /sys/class/fc_remote_ports/*/port_state /sys/class/fc_remote_ports/*/roles
		exit 1`, fcLoginTime, s.remotePort()))
	if r.ExitCode != 0 {
		return nil, errors.New("the target's port shows this host no disk:\n" + strings.TrimSpace(r.Stdout))
	}
	return s, nil
}

// fcLoginTime is how many seconds a port may take to find the others, to log in to
// them and to look for disks: three times what it takes, natively and emulated. A host
// that is refused is not told so, and waits as long.
var fcLoginTime = int(patience.Seconds()) / 30

// fcSession is a host's port, found by its name, and the target's port as the
// host sees it.
type fcSession struct {
	target, host string
	port         int
}

// remotePort is a pattern of a shell for the target's port as this host sees it.
func (s fcSession) remotePort() string {
	return fmt.Sprintf(`$(for host in $(grep -l 0x%s /sys/class/fc_host/*/port_name); do
		host=${host%%%%/port_name}; host=${host##*/host}
		grep -l 0x%s /sys/class/fc_remote_ports/rport-$host:*/port_name
	done | xargs -r dirname)`, s.host, s.target)
}

func (s fcSession) luns(ctx context.Context) map[int]string {
	GinkgoHelper()
	return scsiLUNs(ctx, `$(for port in `+s.remotePort()+`; do echo $port/device/target*; done)`)
}

func (s fcSession) rescan(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, `for host in $(grep -l 0x`+s.host+` /sys/class/fc_host/*/port_name); do
			host=$(basename $(dirname $host))
			for lun in $(ls -d /sys/class/scsi_host/$host/device/rport-*/target*/*:*:*:* 2>/dev/null); do echo 1 > $lun/rescan; done
			echo "- - -" > /sys/class/scsi_host/$host/scan
		done; udevadm settle`)
}

// live is what the host's port believes. It is not told when the target removes
// its ACL: then it is I/O that fails, after some twenty seconds.
func (s fcSession) live(ctx context.Context) bool {
	GinkgoHelper()
	return try(ctx, `for port in `+s.remotePort()+`; do grep -q Online $port/port_state && grep -q 'FCP Target' $port/roles && exit 0; done; exit 1`).ExitCode == 0
}

func (s fcSession) disconnect(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, guest.UnplugFC(s.port)+"udevadm settle")
}

// resetFC unplugs all hosts and takes down what targets there are.
var resetFC = guest.UnplugFC(1) + guest.UnplugFC(2) + guest.UnplugFC(3) + `
	cd /sys/kernel/config/target/fc 2>/dev/null && {
		find */tpgt_*/acls */tpgt_*/lun -type l -delete
		rmdir */tpgt_*/acls/*/lun_* */tpgt_*/acls/* */tpgt_*/lun/lun_* */tpgt_* *:*
	}
`

var _ = It("A Fibre Channel host sees and reads LUNs, and a stranger does not", func(ctx SpecContext) {
	fc.setUp(ctx)
	devices := volumes(ctx, "one", "two")
	db := attachment{target: fc.target("data"), host: fc.host("db")}
	stranger := attachment{target: fc.target("data"), host: fc.host("stranger")}
	sh(ctx, fmt.Sprintf(`set -e
		cd /sys/kernel/config/target; tpg=fc/%s/tpgt_1; mkdir -p fc; mkdir -p $tpg/acls/%s
		lun=0; for device in %s; do
			store=core/iblock_0/lun$lun; mkdir -p $store
			printf "udev_path=$device" > $store/control; echo 1 > $store/enable
			mkdir $tpg/lun/lun_$lun; ln -s $PWD/$store $tpg/lun/lun_$lun/store
			mkdir $tpg/acls/%[2]s/lun_$lun; ln -s $PWD/$tpg/lun/lun_$lun $tpg/acls/%[2]s/lun_$lun/lun
			lun=$((lun+1))
		done`, db.target, db.host, strings.Join(devices, " ")))

	By("connecting")
	s := mustConnect(ctx, fc, db)
	one := device(ctx, s, 0)
	Expect(device(ctx, s, 1)).NotTo(Equal(one))
	fill(ctx, one, "data", 4)
	Expect(content(ctx, devices[0], 4)).To(Equal(content(ctx, one, 4)))
	Expect(s.live(ctx)).To(BeTrue())

	By("refusing a stranger")
	_, err := fc.connect(ctx, stranger)
	Expect(err).To(HaveOccurred())
	AddReportEntry("stranger", err.Error())

	By("growing")
	sh(ctx, "lvextend -qq -L 128m vg0/one")
	s.rescan(ctx)
	Expect(size(ctx, one)).To(Equal(uint64(128 << 20)))

	By("disconnecting")
	s.disconnect(ctx)
	Expect(s.luns(ctx)).To(BeEmpty())
	Expect(s.live(ctx)).To(BeFalse())
}, NodeTimeout(limit))
