package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// fcInitiator is the initiator of Fibre Channel: every host has a port on a
// fabric without switch (VN2VN) on an Ethernet, which is a bridge with a virtual
// cable for each. A host's port number is its number in hosts; the target's is 0.
type fcInitiator struct{}

var fc = fcInitiator{}

// setUp gives the cables fixed addresses, so that a port has the same WWPN after
// every boot. Only the target's port is made: a host's comes with its session.
func (i fcInitiator) setUp(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf(`set -e
		modprobe -a veth bridge libfc libfcoe fcoe tcm_fc
		[ -e /sys/class/net/fcbr ] || ip link add fcbr mtu 2500 type bridge
		ip link set fcbr up
		for n in $(seq 0 %d); do
			[ -e /sys/class/net/fc$n ] || ip link add fc$n address 02:00:00:00:fc:0$n mtu 2500 type veth peer name fcbr$n
			ip link set fcbr$n mtu 2500 master fcbr up
			ip link set fc$n up
		done
		grep -qi 0x%s /sys/class/fc_host/*/port_name || printf fc0 > /sys/module/libfcoe/parameters/create_vn2vn`,
		len(hosts)-1, plain(i.target(""))))
}

func (fcInitiator) portal() string { return "" }

// target is the same for all exports: the name of the target's port.
func (i fcInitiator) target(string) string { return i.host("target") }

func (fcInitiator) host(name string) string {
	GinkgoHelper()
	return fmt.Sprintf("20:00:02:00:00:00:fc:%02d", hostNumber(name))
}

// plain is a WWPN without its colons, as sysfs has it.
func plain(wwpn string) string { return strings.ReplaceAll(wwpn, ":", "") }

// connect plugs the host in anew. A port that was there before the target was
// would never look at its LUNs.
func (i fcInitiator) connect(ctx context.Context, to attachment) (session, error) {
	GinkgoHelper()
	s := fcSession{target: plain(to.target), host: plain(to.host), port: "fc" + strings.TrimLeft(to.host[len(to.host)-2:], "0")}
	s.disconnect(ctx)
	sh(ctx, "printf "+s.port+" > /sys/module/libfcoe/parameters/create_vn2vn")
	r := try(ctx, fmt.Sprintf(`end=$(($(date +%%s) + %d))
		while [ $(date +%%s) -lt $end ]; do
			for port in %s; do grep -q 'FCP Target' $port/roles 2>/dev/null && exit 0; done
			sleep 0.5
		done
		grep -r . /sys/class/fc_remote_ports/*/port_state /sys/class/fc_remote_ports/*/roles
		exit 1`, fcLoginTime, s.remotePort()))
	if r.ExitCode != 0 {
		return nil, errors.New("the target's port is no SCSI target for this host:\n" + strings.TrimSpace(r.Stdout))
	}
	return s, nil
}

// fcLoginTime is how many seconds a port may take to find the others and to log
// in to them: ten times what it takes.
const fcLoginTime = 30

// fcSession is a host's port, found by its name, and the target's port as the
// host sees it.
type fcSession struct{ target, host, port string }

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
	sh(ctx, `if grep -q 0x`+s.host+` /sys/class/fc_host/*/port_name; then printf `+s.port+` > /sys/module/libfcoe/parameters/destroy; fi
		while grep -q 0x`+s.host+` /sys/class/fc_host/*/port_name; do sleep 0.1; done; udevadm settle`)
}

// resetFC unplugs all hosts and takes down what targets there are.
const resetFC = `
	for n in 1 2 3; do
		grep -qs 0x200002000000fc0$n /sys/class/fc_host/*/port_name && printf fc$n > /sys/module/libfcoe/parameters/destroy
	done
	cd /sys/kernel/config/target/fc 2>/dev/null && {
		find */tpgt_*/acls */tpgt_*/lun -type l -delete
		rmdir */tpgt_*/acls/*/lun_* */tpgt_*/acls/* */tpgt_*/lun/lun_* */tpgt_* *:*
	}
`

var _ = It("A Fibre Channel host sees and reads LUNs, and a stranger does not", Label("more"), func(ctx SpecContext) {
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
