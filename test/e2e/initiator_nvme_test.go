package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest"
)

// nvmeInitiator is the initiator of NVMe over TCP or RDMA.
type nvmeInitiator struct {
	transport string // tcp or rdma
	address   string
}

var (
	nvmeTCP  = nvmeInitiator{transport: "tcp", address: "127.0.0.1"}
	nvmeTCP6 = nvmeInitiator{transport: "tcp", address: "::1"}
	nvmeRDMA = nvmeInitiator{transport: "rdma", address: guest.RDMAAddress}
)

// withoutMultipath gives each host block devices of its own: multipath would make one of
// them all, as they are one machine, and hide that one of them is cut off. It has to be
// said before anything loads nvme_core, which a target may.
const withoutMultipath = `echo "options nvme_core multipath=N" > /etc/modprobe.d/nvme-hosts.conf
`

// setUp loads what a host needs.
func (i nvmeInitiator) setUp(ctx context.Context) {
	GinkgoHelper()
	// A host with a wrong key is not always told so: then it waits for this time, of
	// which the kernel's own is a minute.
	sh(ctx, `modprobe -a nvmet-`+i.transport+` nvme-`+i.transport+`
		echo `+strconv.Itoa(int(patience.Seconds())/30)+` > /sys/module/nvme_core/parameters/admin_timeout
		grep -qx N /sys/module/nvme_core/parameters/multipath`)
	if i.transport == "rdma" {
		sh(ctx, guest.SetUpRDMA)
	}
}

func (i nvmeInitiator) portal() string { return net.JoinHostPort(i.address, "4420") }

func (nvmeInitiator) target(export string) string { return "nqn.2026-11.io.volreconciler:" + export }

func (nvmeInitiator) host(name string) string { return "nqn.2014-08.org.example:" + name }

// hostID is a host's other name, which has to be as unique as its NQN.
func (nvmeInitiator) hostID(nqn string) string {
	sum := sha256.Sum256([]byte(nqn))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// connect runs nvme connect. The library behind it takes the first host that
// asked for a subsystem for the whole machine and calls every other one
// connected already; for those, the same options go to the kernel directly.
func (i nvmeInitiator) connect(ctx context.Context, to attachment) (session, error) {
	GinkgoHelper()
	address, service, err := net.SplitHostPort(to.portal)
	Expect(err).NotTo(HaveOccurred())
	options := []struct{ flag, key, value string }{
		{"transport", "transport", i.transport},
		{"traddr", "traddr", address},
		{"trsvcid", "trsvcid", service},
		{"nqn", "nqn", to.target},
		{"hostnqn", "hostnqn", to.host},
		{"hostid", "hostid", i.hostID(to.host)},
		{"reconnect-delay", "reconnect_delay", "1"},
		{"ctrl-loss-tmo", "ctrl_loss_tmo", "120"},
		{"keep-alive-tmo", "keep_alive_tmo", "5"},
		{"dhchap-secret", "dhchap_secret", to.credentials.password},
		{"dhchap-ctrl-secret", "dhchap_ctrl_secret", to.credentials.targetPassword},
	}
	command, kernel := "nvme connect", ""
	for _, o := range options {
		if o.value != "" {
			command += fmt.Sprintf(" --%s='%s'", o.flag, o.value)
			kernel += fmt.Sprintf(",%s=%s", o.key, o.value)
		}
	}
	r := try(ctx, command)
	if r.ExitCode != 0 && strings.Contains(r.Stderr, "already connected") {
		r = try(ctx, "echo '"+kernel[1:]+"' > /dev/nvme-fabrics")
	}
	s := nvmeSession{target: to.target, host: to.host}
	if r.ExitCode != 0 || s.controller(ctx) == "" {
		return nil, errors.New(strings.TrimSpace(r.Stdout + r.Stderr))
	}
	return s, nil
}

// nvmeSession is a controller, found by its names: another takes its place when
// the host has to connect again.
type nvmeSession struct{ target, host string }

func (s nvmeSession) controller(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, fmt.Sprintf(`for c in /sys/class/nvme/nvme*; do
		[ "$(cat $c/subsysnqn $c/hostnqn 2>/dev/null | xargs)" = "%s %s" ] && echo ${c##*/}
	done; true`, s.target, s.host))
}

func (s nvmeSession) luns(ctx context.Context) map[int]string {
	GinkgoHelper()
	controller := s.controller(ctx)
	if controller == "" {
		return map[int]string{}
	}
	return parseLUNs(sh(ctx, `for n in /sys/class/nvme/`+controller+`/nvme*n*; do
		[ -e $n/nsid ] && echo $(cat $n/nsid) /dev/${n##*/}
	done; true`))
}

func (s nvmeSession) rescan(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, "nvme ns-rescan /dev/"+s.controller(ctx)+" && udevadm settle")
}

func (s nvmeSession) live(ctx context.Context) bool {
	GinkgoHelper()
	return strings.TrimSpace(try(ctx, "cat /sys/class/nvme/"+s.controller(ctx)+"/state").Stdout) == "live"
}

func (s nvmeSession) disconnect(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, "nvme disconnect -d "+s.controller(ctx)+" && udevadm settle")
}

// resetNVMe takes down what NVMe hosts and targets there are. Hosts come first:
// a host that lost its target would look for it for minutes.
const resetNVMe = `
	[ -e /sys/class/nvme-fabrics ] && nvme disconnect-all
	cd /sys/kernel/config/nvmet 2>/dev/null && {
		find ports/*/subsystems subsystems/*/allowed_hosts -type l -delete
		for enable in subsystems/*/namespaces/*/enable; do echo 0 > $enable; done
		rmdir subsystems/*/namespaces/* subsystems/* ports/*/referrals/* ports/*/ana_groups/[2-9]* ports/* hosts/*
	}
`

// handmadeNVMe exports devices as the namespaces 1, 2, … of a subsystem by hand,
// to hosts and with keys, which may be empty.
func handmadeNVMe(ctx context.Context, i nvmeInitiator, subsystem string, devices []string, hosts []string, c credentials) {
	GinkgoHelper()
	address, service, err := net.SplitHostPort(i.portal())
	Expect(err).NotTo(HaveOccurred())
	family := "ipv4"
	if strings.Contains(address, ":") {
		family = "ipv6"
	}
	sh(ctx, fmt.Sprintf(`set -e
		cd /sys/kernel/config/nvmet
		s=subsystems/%[1]s; mkdir $s
		n=0; for device in %[2]s; do
			n=$((n+1)); mkdir $s/namespaces/$n
			echo $device > $s/namespaces/$n/device_path; echo 1 > $s/namespaces/$n/enable
		done
		for host in %[3]s; do
			mkdir hosts/$host
			[ -z "%[4]s" ] || printf %%s "%[4]s" > hosts/$host/dhchap_key
			[ -z "%[5]s" ] || printf %%s "%[5]s" > hosts/$host/dhchap_ctrl_key
			ln -s /sys/kernel/config/nvmet/hosts/$host $s/allowed_hosts/$host
		done
		mkdir ports/1; echo %[6]s > ports/1/addr_trtype; echo %[7]s > ports/1/addr_adrfam
		echo %[8]s > ports/1/addr_traddr; echo %[9]s > ports/1/addr_trsvcid
		ln -s /sys/kernel/config/nvmet/$s ports/1/subsystems/%[1]s`,
		subsystem, strings.Join(devices, " "), strings.Join(hosts, " "), c.password, c.targetPassword,
		i.transport, family, address, service))
}

// needKeys skips a spec where the kernel does not have DH-HMAC-CHAP but should, or the
// other way round.
func needKeys(ctx context.Context, there bool) {
	GinkgoHelper()
	has := sh(ctx, "cd /sys/kernel/config/nvmet/hosts && mkdir x && ls x; rmdir x") != ""
	if has != there {
		Skip(fmt.Sprintf("this kernel has DH-HMAC-CHAP: %t", has))
	}
}

var _ = DescribeTable("An NVMe host",
	func(ctx SpecContext, i nvmeInitiator) {
		i.setUp(ctx)
		target := i.target("data")
		db := attachment{target: target, portal: i.portal(), host: i.host("db")}
		mail, stranger := db, db
		mail.host, stranger.host = i.host("mail"), i.host("stranger")
		handmadeNVMe(ctx, i, target, volumes(ctx, "one", "two"), []string{db.host, mail.host}, credentials{})

		By("connecting, two hosts side by side, each with devices of its own")
		s, other := mustConnect(ctx, i, db), mustConnect(ctx, i, mail)
		one := device(ctx, s, 1)
		Expect(device(ctx, other, 1)).NotTo(Equal(one))
		Expect(s.luns(ctx)).To(HaveLen(2))
		Expect(s.live(ctx)).To(BeTrue())
		fill(ctx, one, "data", 4)
		Expect(content(ctx, device(ctx, other, 1), 4)).To(Equal(content(ctx, one, 4)))
		Expect(content(ctx, "/dev/vg0/one", 4)).To(Equal(content(ctx, one, 4)))
		Expect(writes(ctx, one)).To(BeTrue())

		By("refusing a stranger")
		_, err := i.connect(ctx, stranger)
		Expect(err).To(HaveOccurred())
		AddReportEntry("stranger", err.Error())

		By("seeing a namespace grow")
		sh(ctx, "lvextend -qq -L 128m vg0/one && echo 1 > /sys/kernel/config/nvmet/subsystems/"+target+"/namespaces/1/revalidate_size")
		Eventually(ctx, func() uint64 { return size(ctx, one) }).Should(Equal(uint64(128 << 20)))

		By("being cut off while the other host stays")
		sh(ctx, fmt.Sprintf(`cd /sys/kernel/config/nvmet; rm subsystems/%[1]s/allowed_hosts/%[2]s; rmdir hosts/%[2]s
			rm ports/1/subsystems/%[1]s; ln -s /sys/kernel/config/nvmet/subsystems/%[1]s ports/1/subsystems/%[1]s`, target, db.host))
		Eventually(ctx, s.live).WithContext(ctx).Should(BeFalse())
		Eventually(ctx, other.live).WithContext(ctx).Should(BeTrue())
		Expect(reads(ctx, device(ctx, other, 1))).To(BeTrue())
		Expect(s.live(ctx)).To(BeFalse())

		By("disconnecting")
		other.disconnect(ctx)
		Expect(other.luns(ctx)).To(BeEmpty())
	},
	Entry("over TCP", nvmeTCP, NodeTimeout(limit)),
	Entry("over TCP and IPv6", nvmeTCP6, NodeTimeout(limit)),
	Entry("over RDMA", nvmeRDMA, NodeTimeout(limit)),
)

var _ = Describe("DH-HMAC-CHAP", func() {
	It("lets in who has the key, and shows that the target has its own", func(ctx SpecContext) {
		i := nvmeTCP
		i.setUp(ctx)
		needKeys(ctx, true)
		target := i.target("data")
		key := func(nqn string) string { return sh(ctx, "nvme gen-dhchap-key --hmac=1 --nqn "+nqn) }
		good := credentials{password: key(i.host("db")), targetPassword: key(target)}
		wrong := key(i.host("db"))
		handmadeNVMe(ctx, i, target, volumes(ctx, "one"), []string{i.host("db")}, good)

		for name, c := range map[string]credentials{
			"without a key":         {},
			"with a wrong key":      {password: wrong},
			"of a wrong target key": {password: good.password, targetPassword: wrong},
		} {
			By("refusing a host " + name)
			_, err := i.connect(ctx, attachment{target: target, portal: i.portal(), host: i.host("db"), credentials: c})
			Expect(err).To(HaveOccurred())
			AddReportEntry(name, err.Error())
		}
		for name, c := range map[string]credentials{"one-way": {password: good.password}, "mutual": good} {
			By("letting a host in, " + name)
			s := mustConnect(ctx, i, attachment{target: target, portal: i.portal(), host: i.host("db"), credentials: c})
			Expect(reads(ctx, device(ctx, s, 1))).To(BeTrue())
			s.disconnect(ctx)
		}
	}, NodeTimeout(limit))
})
