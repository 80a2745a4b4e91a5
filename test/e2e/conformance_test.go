package e2e

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/test/guest"
)

// protocol is a row of the table of what each protocol has been seen to do.
type protocol struct {
	name      string // spec.protocol
	initiator initiator
	// first is the number by which hosts know LUN 0.
	first int
	// password makes a password by which hosts prove themselves; nil: the
	// protocol, or this kernel, has nothing of the kind.
	password func(ctx context.Context) string
	// maps is true if each host has its own list of LUNs, and its own rights.
	maps bool
	// second is another place where a target may listen, as address:port; empty:
	// there is none.
	second string
	// wedges is true if a host that breaks off in the middle of a login keeps others from
	// logging in: seen on Linux 6.1 for four minutes, after "iSCSI Login timeout" in the
	// kernel's log. Where the cause lies was not traced.
	wedges bool
	// unseen is true if the kernel does not show that anybody is connected.
	unseen bool
	// flags are the agent's.
	flags []string
	// keys is true if the kernel has to have DH-HMAC-CHAP.
	keys bool
}

// conformance is one run of the suite: an export of two volumes, conf, and the
// hosts db and mail.
type conformance struct {
	protocol
	luns       []string // of the spec
	hosts      []string
	size       string // of the first volume
	disconnect string
	extra      string // more portals
	password   string
	// own is the password by which the target proves itself to hosts that ask.
	own string
	// passed are the cases that are behind us.
	passed []string
}

// by begins a case. A run that fails ends with it.
func (c *conformance) by(name string) {
	By(name)
	c.passed = append(c.passed, name)
}

func (c *conformance) target() string { return c.initiator.target("conf") }

// spec is the export as a document.
func (c *conformance) spec() string {
	var hosts []string
	for _, h := range c.hosts {
		auth, readOnly := "", ""
		if c.password != "" {
			username, own := "username: "+h+", ", "username: node, "
			if strings.HasPrefix(c.name, "nvme") {
				username, own = "", ""
			}
			auth = fmt.Sprintf(", auth: {chap: {%spasswordFrom: {file: /etc/volreconciler/secrets/conf-%s}}, mutual: {%spasswordFrom: {file: /etc/volreconciler/secrets/conf}}}", username, h, own)
		}
		if c.maps && h == "mail" {
			readOnly = ", readOnly: true, luns: [0]"
		}
		hosts = append(hosts, fmt.Sprintf("{name: %q%s%s}", c.initiator.host(h), auth, readOnly))
	}
	where := ""
	if p := c.initiator.portal(); p != "" {
		where = fmt.Sprintf("portals: [%q%s], ", p, c.extra)
	}
	return fmt.Sprintf("kind: Export\nmetadata: {name: conf}\nspec: {protocol: %s, target: %q, %sdisconnect: %s, luns: [%s], initiators: [%s]}",
		c.name, c.target(), where, c.disconnect, strings.Join(c.luns, ", "), strings.Join(hosts, ", "))
}

// write writes what is desired, with the export or without, and returns how many
// objects that are.
func (c *conformance) write(ctx context.Context, export bool) int {
	GinkgoHelper()
	if c.password != "" {
		secret(ctx, "conf", c.own)
		for _, h := range c.hosts {
			secret(ctx, "conf-"+h, c.password)
		}
	}
	documents := []string{thinPool, thickPool, volume("one", "fast", c.size, ""), volume("two", "slow", "64Mi", ""), volume("three", "fast", "64Mi", "")}
	if export {
		documents = append(documents, c.spec())
	}
	specs(ctx, "all.yaml", documents...)
	return len(documents)
}

// apply writes what is desired and waits until it is so.
func (c *conformance) apply(ctx context.Context) {
	GinkgoHelper()
	allReady(ctx, c.write(ctx, true))
}

func (c *conformance) attachment(host string) attachment {
	a := attachment{target: c.target(), portal: c.initiator.portal(), host: c.initiator.host(host)}
	if c.password != "" {
		a.credentials = credentials{username: host, password: c.password}
	}
	return a
}

func (c *conformance) connect(ctx context.Context, host string) session {
	GinkgoHelper()
	return mustConnect(ctx, c.initiator, c.attachment(host))
}

// refused says whether a host gets nothing, however it is told so.
func (c *conformance) refused(ctx context.Context, a attachment) bool {
	GinkgoHelper()
	s, err := c.initiator.connect(ctx, a)
	if err != nil {
		return true
	}
	defer s.disconnect(ctx)
	return len(s.luns(ctx)) == 0
}

func (c *conformance) lun(ctx context.Context, s session, n int) string {
	GinkgoHelper()
	return device(ctx, s, c.first+n)
}

// wwid is what a host knows a device by.
func wwid(ctx context.Context, device string) string {
	GinkgoHelper()
	d := "/sys/block/" + filepath.Base(device)
	return sh(ctx, "cat "+d+"/wwid "+d+"/device/wwid 2>/dev/null | head -1")
}

// workload writes to a device and reads back what it wrote, until it is stopped.
func workload(ctx context.Context, device string) (stop func(ctx context.Context)) {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf(`rm -f /run/fio.*
		setsid sh -c 'fio --name=live --filename=%s --size=32m --rw=randrw --bs=4k --iodepth=1 --direct=1 --thinktime=5ms --verify=crc32c --verify_fatal=1 --time_based --runtime=1h \
			--output=/run/fio.log; echo $? > /run/fio.status' >/dev/null 2>&1 &`, device))
	return func(ctx context.Context) {
		GinkgoHelper()
		Expect(sh(ctx, "cat /run/fio.status 2>/dev/null; true")).To(BeEmpty(), "the workload ended by itself")
		sh(ctx, "pkill -INT -x fio; until [ -e /run/fio.status ]; do sleep 0.1; done")
		Expect(sh(ctx, "cat /run/fio.log")).To(And(ContainSubstring("err= 0"), Not(MatchRegexp("(?i)verify.*(fail|bad)|io_u error"))))
	}
}

// wipe does to the targets what a boot does.
func (c *conformance) wipe(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, resetNVMe+resetFC+resetLIO+resetTGT+"true")
	c.initiator.setUp(ctx)
}

// kernelTargets is all that the kernel's targets hold, and that must not change
// while there is nothing to do.
func kernelTargets(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, `cd /sys/kernel/config && find target nvmet -printf '%p %l\n' 2>/dev/null | sort
		! pgrep -x tgtd >/dev/null || tgtadm --op show --mode target`)
}

func (c *conformance) run(ctx SpecContext) {
	c.luns, c.hosts, c.size, c.disconnect = []string{"{volume: one}", "{volume: two}"}, []string{"db", "mail"}, "64Mi", "Wait"
	c.initiator.setUp(ctx)
	if c.protocol.password != nil {
		c.password, c.own = c.protocol.password(ctx), c.protocol.password(ctx)
	}
	agent(c.flags...)

	c.by("it converges, and two hosts find their volumes")
	c.apply(ctx)
	db, mail := c.connect(ctx, "db"), c.connect(ctx, "mail")
	one, two := c.lun(ctx, db, 0), c.lun(ctx, db, 1)
	Expect(size(ctx, one)).To(Equal(uint64(64 << 20)))
	fill(ctx, two, "precious", 4)
	data, identity := content(ctx, two, 4), wwid(ctx, two)
	Expect(content(ctx, "/dev/vg0/two", 4)).To(Equal(data))
	Expect(identity).NotTo(BeEmpty())
	if c.maps {
		c.by("a host that may only read a part of it does that")
		Expect(slices.Collect(maps.Keys(mail.luns(ctx)))).To(ConsistOf(c.first))
		Expect(writes(ctx, c.lun(ctx, mail, 0))).To(BeFalse())
		Expect(reads(ctx, c.lun(ctx, mail, 0))).To(BeTrue())
	}

	c.by("a pass in which nothing changed writes nothing")
	before := kernelTargets(ctx)
	passes(ctx, 3)
	Expect(kernelTargets(ctx)).To(Equal(before))

	c.by("a stranger gets nothing")
	Expect(c.refused(ctx, c.attachment("stranger"))).To(BeTrue())
	if c.password != "" {
		c.by("neither does a wrong password, nor none")
		wrong := c.attachment("db")
		wrong.credentials.password = c.protocol.password(ctx)
		db.disconnect(ctx)
		Expect(c.refused(ctx, wrong)).To(BeTrue())
		wrong.credentials = credentials{}
		Expect(c.refused(ctx, wrong)).To(BeTrue())

		careful := c.attachment("db")
		if !c.wedges {
			c.by("a host that asks the target for its password finds out an impostor")
			careful.credentials.targetUsername, careful.credentials.targetPassword = "node", c.protocol.password(ctx)
			Expect(c.refused(ctx, careful)).To(BeTrue())
		}
		careful.credentials.targetUsername, careful.credentials.targetPassword = "node", c.own
		db = mustConnect(ctx, c.initiator, careful)
		one = c.lun(ctx, db, 0)
	}

	stop := workload(ctx, one)
	c.by("under load, a volume grows")
	c.size = "96Mi"
	c.apply(ctx)
	Eventually(ctx, func() uint64 {
		db.rescan(ctx)
		return size(ctx, one)
	}).Should(Equal(uint64(96 << 20)))

	c.by("under load, a LUN and a host are added")
	c.luns = append(c.luns, "{volume: three}")
	c.hosts = append(c.hosts, "stranger")
	c.apply(ctx)
	db.rescan(ctx)
	Expect(reads(ctx, c.lun(ctx, db, 2))).To(BeTrue())
	third := c.connect(ctx, "stranger")
	Expect(reads(ctx, c.lun(ctx, third, 0))).To(BeTrue())
	third.disconnect(ctx)

	if c.second != "" {
		c.by("under load, a portal is added")
		c.extra = fmt.Sprintf(", %q", c.second)
		c.apply(ctx)
	}
	if c.password != "" {
		c.by("under load, a password changes, which counts from the next login on")
		old := c.attachment("stranger")
		c.password = c.protocol.password(ctx)
		c.apply(ctx)
		Expect(c.refused(ctx, old)).To(BeTrue())
		third := c.connect(ctx, "stranger")
		third.disconnect(ctx)
		Expect(db.live(ctx)).To(BeTrue())
	}
	stop(ctx)

	if !c.unseen && c.name != "fc" { // which knows no login
		c.by("a host that is taken out goes on, and is not let in again")
		third := c.connect(ctx, "stranger")
		c.hosts = c.hosts[:2]
		c.write(ctx, true)
		eventually(ctx, "Export/conf", beIn(status.Blocked, status.ReasonSessionsActive))
		passes(ctx, 2)
		Expect(third.live(ctx)).To(BeTrue())
		kill(ctx) // so that what it did by now counts
		third.disconnect(ctx)
		Expect(c.refused(ctx, c.attachment("stranger"))).To(BeTrue())
		Expect(db.live(ctx)).To(BeTrue())
		agent(c.flags...)
	}

	if !c.unseen {
		c.by("what a host uses is not taken away")
	}
	c.luns = c.luns[:2]
	c.write(ctx, true)
	if !c.unseen {
		eventually(ctx, "Export/conf", beIn(status.Blocked, status.ReasonSessionsActive))
		Expect(reads(ctx, c.lun(ctx, db, 2))).To(BeTrue())
	}
	db.disconnect(ctx)
	mail.disconnect(ctx)
	eventually(ctx, "Export/conf", beIn(status.Ready, status.ReasonAsDesired))

	c.by("after a crash at any moment, and a boot, all is as it was")
	for i := range 4 {
		kill(ctx)
		c.wipe(ctx)
		agent(c.flags...)
		time.Sleep(time.Duration(i) * 700 * time.Millisecond)
	}
	kill(ctx)
	log := agent(c.flags...)
	c.apply(ctx)
	db, mail = c.connect(ctx, "db"), c.connect(ctx, "mail")
	two = c.lun(ctx, db, 1)
	Expect(wwid(ctx, two)).To(Equal(identity))
	Expect(content(ctx, two, 4)).To(Equal(data))

	c.by("a host that leaves the spec is cut off, and the other is not")
	c.disconnect = "Force"
	c.hosts = []string{"db"}
	lost := c.lun(ctx, mail, 0)
	c.apply(ctx)
	Eventually(ctx, func() bool { return reads(ctx, lost) }).WithTimeout(patience).Should(BeFalse())
	Eventually(ctx, func() bool { return reads(ctx, c.lun(ctx, db, 1)) }).WithTimeout(patience).Should(BeTrue())
	Expect(c.refused(ctx, c.attachment("mail"))).To(BeTrue())

	c.by("no secret is in the log")
	if c.password != "" {
		Expect(string(log.Contents())).NotTo(Or(ContainSubstring(c.password), ContainSubstring(c.own)))
	}

	c.by("when its file goes, nothing is left of it")
	db.disconnect(ctx)
	allReady(ctx, c.write(ctx, false))
	Eventually(ctx, func() string { return kernelTargets(ctx) }).ShouldNot(Or(ContainSubstring("conf"), ContainSubstring("/lun_"), ContainSubstring("volreconciler:volume"), ContainSubstring("allowed_hosts/"), ContainSubstring("hosts/nqn")))
	Expect(content(ctx, "/dev/vg0/two", 4)).To(Equal(data))
}

// tgtInitiator is an initiator of the tgtd that it starts.
type tgtInitiator struct{ iscsiInitiator }

func (tgtInitiator) setUp(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, `mkdir -p /run/tgtd; pgrep -x tgtd >/dev/null || tgtd; until tgtadm --op show --mode sys >/dev/null 2>&1; do sleep 0.1; done`)
}

// resetTGT ends tgtd, and with it all that it serves.
const resetTGT = `
	if pgrep -x tgtd >/dev/null; then pkill -9 -x tgtd; while pgrep -x tgtd >/dev/null; do sleep 0.1; done; fi
`

// hostKey is a key as an NVMe host has it.
func hostKey(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, "nvme gen-dhchap-key --hmac=0 --nqn nqn.2014-08.org.example:any")
}

// chapPassword is a CHAP password that nothing else has.
func chapPassword(context.Context) string {
	return fmt.Sprintf("conformance-%d", time.Now().UnixNano())
}

var protocols = []protocol{
	{name: "iscsi", initiator: iscsiTCP, password: chapPassword, maps: true, second: "[::1]:3261"},
	{name: "iser", initiator: iser, password: chapPassword, maps: true, second: "[" + guest.RDMAAddress6 + "]:3260", wedges: true},
	{name: "nvme-tcp", initiator: nvmeTCP, first: 1, second: "[::1]:4420"},
	{name: "nvme-rdma", initiator: nvmeRDMA, first: 1, unseen: true, second: "[" + guest.RDMAAddress6 + "]:4420"},
	{name: "iscsi", initiator: tgtInitiator{iscsiTCP}, first: 1, password: chapPassword, second: "[::1]:3261", flags: []string{"--backend=tgt"}},
	{name: "nvme-tcp", initiator: nvmeTCP, first: 1, second: "[::1]:4420", password: hostKey, keys: true},
	{name: "fc", initiator: fc, maps: true},
}

var _ = Describe("An export conforms", func() {
	for _, p := range protocols {
		name := strings.Join(append([]string{p.name}, p.flags...), " ")
		if p.keys {
			name += ", with keys"
		}
		It("over "+name, func(ctx SpecContext) {
			if p.keys {
				p.initiator.setUp(ctx)
				needKeys(ctx, true)
			}
			c := &conformance{protocol: p}
			began := time.Now()
			c.run(ctx)
			AddReportEntry(fmt.Sprintf("conformance protocol=%s cases=%d seconds=%.0f", name, len(c.passed), time.Since(began).Seconds()))
		}, NodeTimeout(limit))
	}
})
