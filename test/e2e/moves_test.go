package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// place is where the logical volumes of a Pool are.
type place struct{ group, thinPool string }

// places are the Pools between which volumes move, by name.
var places = map[string]place{"fast": {"vg0", "pool0"}, "slow": {"vg0", ""}, "second": {"vg1", ""}}

// mover is a Volume that moves from Pool to Pool.
type mover struct {
	name, size string
	// export is the document of its Export; empty: it has none.
	export string
	// identity and digest are what stays the same wherever it is.
	identity, digest string
}

// usualPatience is how long open-iscsi waits unless it is told otherwise.
const usualPatience = 120

// The first 32 MiB of a mover are for a workload; the rest keeps its content.
const (
	firstMiB = 32
	sizeMiB  = 64
)

// newMover starts the agent, and makes a Volume that has data here and there, where
// there was something else before.
func newMover(ctx context.Context, pool, export string, flags ...string) *mover {
	GinkgoHelper()
	m := &mover{name: "data", size: fmt.Sprintf("%dMi", sizeMiB), export: export}
	secondGroup(ctx)
	specs(ctx, "pools.yaml", thinPool, thickPool, secondPool)
	agent(flags...)
	allReady(ctx, 3)
	dirty(ctx, sizeMiB)
	m.to(ctx, pool)
	allReady(ctx, m.objects())
	m.identity = m.counts(ctx).UUID
	sh(ctx, fmt.Sprintf(`for at in 33 34 50 63; do
		dd if=/dev/urandom of=/dev/%s/data bs=1M count=1 seek=$at conv=notrunc oflag=direct status=none; done`, places[pool].group))
	m.digest = m.content(ctx, "/dev/"+places[pool].group+"/data")
	return m
}

func (m *mover) objects() int {
	if m.export == "" {
		return 4
	}
	return 5
}

// to asks for a Pool.
func (m *mover) to(ctx context.Context, pool string, more ...string) {
	GinkgoHelper()
	documents := append([]string{volume(m.name, pool, m.size, "")}, more...)
	if m.export != "" {
		documents = append(documents, m.export)
	}
	specs(ctx, "data.yaml", documents...)
}

// content is the checksum of what no workload writes to.
func (m *mover) content(ctx context.Context, device string) string {
	GinkgoHelper()
	return sh(ctx, fmt.Sprintf("dd if=%s bs=1M skip=%d count=%d iflag=direct status=none | sha256sum", device, firstMiB, sizeMiB-firstMiB))
}

// volumesOf are all logical volumes that carry tags of ours, but for thin pools.
func volumesOf(ctx context.Context) []observe.LogicalVolume {
	GinkgoHelper()
	var lvs []observe.LogicalVolume
	for line := range strings.Lines(sh(ctx, "lvs --noheadings --separator '|' -o vg_name,lv_name,lv_uuid,pool_lv,lv_tags | tr -d ' '")) {
		f := strings.Split(strings.TrimSpace(line), "|")
		Expect(f).To(HaveLen(5), line)
		lv := observe.LogicalVolume{VolumeGroup: f[0], Name: f[1], UUID: f[2], Pool: f[3], Tags: strings.Split(f[4], ",")}
		if id, _ := lv.Owner(); id.Kind != spec.KindPool && lv.Marked() {
			lvs = append(lvs, lv)
		}
	}
	return lvs
}

// counts returns the logical volume that the Volume is in. There is exactly one, whatever
// happened.
func (m *mover) counts(ctx context.Context) observe.LogicalVolume {
	GinkgoHelper()
	all := volumesOf(ctx)
	replacedBy := map[string]bool{}
	for _, lv := range all {
		replacedBy[lv.SupersededBy()] = true
	}
	var counting []observe.LogicalVolume
	for _, lv := range all {
		id, ours := lv.Owner()
		if ours && id == (spec.ID{Kind: spec.KindVolume, Name: m.name}) && lv.SupersededBy() == "" && (lv.Phase() == "" || lv.Phase() == ondisk.Staged && replacedBy[lv.UUID]) {
			counting = append(counting, lv)
		}
	}
	Expect(counting).To(HaveLen(1), "%v", all)
	if m.identity != "" {
		Expect(counting[0].Identity()).To(Equal(m.identity))
	}
	return counting[0]
}

// in says whether the Volume is in a Pool by now.
func (m *mover) in(ctx context.Context, pool string) bool {
	GinkgoHelper()
	lv := m.counts(ctx)
	return places[pool] == place{lv.VolumeGroup, lv.Pool}
}

// arrives waits until the Volume is in a Pool, and nothing is left of its move; and looks
// whether nothing more is done then.
func (m *mover) arrives(ctx context.Context, pool string) {
	GinkgoHelper()
	allReady(ctx, m.objects())
	Eventually(ctx, func() []observe.LogicalVolume { return volumesOf(ctx) }).WithTimeout(patience).Should(HaveLen(1))
	lv := m.counts(ctx)
	Expect(place{lv.VolumeGroup, lv.Pool}).To(Equal(places[pool]))
	Expect(lv.Name).To(Equal(m.name))
	Expect(lv.Phase()).To(BeEmpty())
	Expect(sh(ctx, "lvs -a --noheadings -o lv_name vg0 vg1")).NotTo(Or(ContainSubstring("volreconciler"), ContainSubstring("snap")))
	Expect(m.content(ctx, lv.Path())).To(Equal(m.digest))
	before := fingerprint(ctx) + kernelTargets(ctx)
	passes(ctx, 2)
	Expect(fingerprint(ctx)+kernelTargets(ctx)).To(Equal(before), "something was done though nothing was to be done")
}

// attach logs an initiator in, which waits for so many seconds when it has lost its
// session, and returns its device.
func (m *mover) attach(ctx context.Context, patience int, settings ...string) string {
	GinkgoHelper()
	settings = append(settings, "node.session.timeo.replacement_timeout", fmt.Sprint(patience))
	Expect(login(ctx, target(m.name), loopback, dbHost, settings...).ExitCode).To(BeZero())
	return sh(ctx, "readlink -f /dev/disk/by-id/wwn-0x"+ondisk.NAA(ondisk.UnitSerial(m.identity)))
}

// killAt kills the agent when it runs and a condition of a shell is true, after a delay in
// seconds. It returns what waits for that.
func killAt(ctx context.Context, condition, delay string) (wait func(ctx context.Context)) {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf(`rm -f /run/killed; setsid sh -c 'until pgrep -x volreconciler >/dev/null && %s; do sleep 0.02; done
		sleep %s; pkill -9 -x volreconciler; while pgrep -x volreconciler >/dev/null; do sleep 0.05; done; touch /run/killed' >/dev/null 2>&1 &`, condition, delay))
	return func(ctx context.Context) {
		GinkgoHelper()
		Eventually(ctx, func() int { return try(ctx, "[ -e /run/killed ]").ExitCode }).WithTimeout(patience).Should(BeZero())
	}
}

var _ = Describe("A Volume that moves to another Pool", func() {
	iscsiExport := export("data", "{volume: data}")
	// off is true while the target of the export is down.
	off := `[ "$(cat /sys/kernel/config/target/iscsi/` + target("data") + `/tpgt_1/enable)" = 0 ]`

	It("is served all the time, and is the same to its initiators", func(ctx SpecContext) {
		m := newMover(ctx, "fast", iscsiExport)
		device := m.attach(ctx, usualPatience)
		known := wwid(ctx, device)
		stop := workload(ctx, device)
		old := statusOf(ctx, "Volume/data").Volume
		for _, pool := range []string{"slow", "second"} {
			By("to " + pool)
			m.to(ctx, pool)
			m.arrives(ctx, pool)
			now := statusOf(ctx, "Volume/data").Volume
			Expect(now).To(And(HaveField("WWN", old.WWN), HaveField("Serial", old.Serial), HaveField("NamespaceUUID", old.NamespaceUUID)))
			Expect(sh(ctx, "cat /run/fio.status 2>/dev/null; true")).To(BeEmpty())
			Expect(size(ctx, device)).To(BeEquivalentTo(sizeMiB << 20))
			Expect(wwid(ctx, device)).To(Equal(known))
		}
		stop(ctx)
		Expect(m.content(ctx, device)).To(Equal(m.digest))
		logout(ctx, target("data"), dbHost)
		Expect(wwid(ctx, m.attach(ctx, usualPatience))).To(Equal(known))
	}, NodeTimeout(limit))

	It("is so over NVMe too", func(ctx SpecContext) {
		i := nvmeTCP
		i.setUp(ctx)
		db := attachment{target: i.target("data"), portal: i.portal(), host: i.host("db")}
		m := newMover(ctx, "slow", fmt.Sprintf(nvmeExport, i.transport, i.portal(), "Wait", "{name: '"+db.host+"'}"))
		s := mustConnect(ctx, i, db)
		one := device(ctx, s, 1)
		known := wwid(ctx, one)
		stop := workload(ctx, one)
		m.to(ctx, "fast")
		m.arrives(ctx, "fast")
		Expect(wwid(ctx, one)).To(Equal(known))
		Expect(size(ctx, one)).To(BeEquivalentTo(sizeMiB << 20))
		stop(ctx)
		Expect(s.live(ctx)).To(BeTrue())
		Expect(m.content(ctx, one)).To(Equal(m.digest))
	}, NodeTimeout(limit))

	It("is not exported, and is moved when nobody on the node uses it", func(ctx SpecContext) {
		m := newMover(ctx, "slow", "")
		sh(ctx, "setsid sleep 6666 </dev/vg0/data >/dev/null 2>&1 &")
		m.to(ctx, "second")
		eventually(ctx, "Volume/data", beIn(status.Blocked, status.ReasonInUse))
		AddReportEntry("in use", statusOf(ctx, "Volume/data").Message)
		Expect(m.in(ctx, "slow")).To(BeTrue())
		sh(ctx, "pkill -f '^sleep 6666$'")
		m.arrives(ctx, "second")
	}, NodeTimeout(limit))

	It("stays where it is while it has snapshots", func(ctx SpecContext) {
		m := newMover(ctx, "fast", iscsiExport)
		device := m.attach(ctx, usualPatience)
		before := sh(ctx, "iscsiadm -m session")
		snap := snapshot("snap", "data", "deletionPolicy: Delete")
		m.to(ctx, "fast", snap)
		allReady(ctx, m.objects()+1)
		m.to(ctx, "slow", snap)
		eventually(ctx, "Volume/data", beIn(status.Blocked, status.ReasonSnapshotsExist))
		AddReportEntry("with a snapshot", statusOf(ctx, "Volume/data").Message)
		passes(ctx, 2)
		Expect(m.in(ctx, "fast")).To(BeTrue())
		Expect(statusOf(ctx, "Export/data").Phase).To(Equal(status.Ready))
		Expect(writes(ctx, device)).To(BeTrue())
		Expect(sh(ctx, "iscsiadm -m session")).To(Equal(before))

		By("and moves when they are gone")
		m.to(ctx, "slow")
		m.arrives(ctx, "slow")
	}, NodeTimeout(limit))

	It("goes nowhere if its spec is put back in the middle", func(ctx SpecContext) {
		m := newMover(ctx, "slow", iscsiExport, "--copy-rate", "4Mi")
		device := m.attach(ctx, usualPatience)
		stop := workload(ctx, device)
		old := m.counts(ctx)
		session := func() string { return sh(ctx, "iscsiadm -m session -P 1 | grep -E 'SID|State'") }
		before := session()
		for _, pool := range []string{"fast", "second"} {
			m.to(ctx, pool)
			eventually(ctx, "Volume/data", And(HaveField("Phase", status.Progressing), HaveField("Progress", HaveField("Done", BeNumerically(">", 4<<20)))))
			AddReportEntry("moving to "+pool, sh(ctx, "volreconciler get"))
			Expect(m.counts(ctx).UUID).To(Equal(old.UUID))
			m.to(ctx, "slow")
			m.arrives(ctx, "slow")
			Expect(m.counts(ctx)).To(Equal(old))
		}
		Expect(session()).To(Equal(before))
		stop(ctx)
	}, NodeTimeout(limit))

	It("is in one place whenever the agent is killed", func(ctx SpecContext) {
		m := newMover(ctx, "slow", iscsiExport)
		stop := workload(ctx, m.attach(ctx, 3600)) // one agent after the other is killed while it waits
		kill(ctx)
		staged, snapshot := "[ -e /dev/mapper/vg0-volreconciler--moved--data ]", "[ -e /dev/mapper/vg0-volreconciler--move--a--data ]"
		pool, next := "fast", "slow"
		// killed returns whether the Volume is in the Pool by then.
		killed := func(condition string, delay time.Duration) bool {
			GinkgoHelper()
			wait := killAt(ctx, condition, fmt.Sprintf("%.2f", delay.Seconds()))
			m.to(ctx, pool)
			agent()
			wait(ctx)
			moved := m.in(ctx, pool)
			var left []string
			for _, lv := range volumesOf(ctx) {
				left = append(left, strings.TrimSpace(lv.FullName()+" "+string(lv.Phase())))
			}
			GinkgoWriter.Printf("killed %s after %s: in place %t; %s\n", delay, condition, moved, strings.Join(left, ", "))
			return moved
		}
		Expect(killed(staged, 0)).To(BeFalse())
		killed(snapshot, 0)
		killed(snapshot, 700*time.Millisecond)
		// Machines differ: the moment in which the move happens is drawn nearer to.
		before, after := time.Duration(0), time.Duration(0)
		for delay, kills := time.Duration(0), 0; kills < 8; kills++ {
			if killed(off, delay) {
				after = delay
				agent()
				m.arrives(ctx, pool)
				kill(ctx)
				pool, next = next, pool
			} else {
				before = delay
			}
			if delay = (before + after) / 2; after == 0 {
				delay = max(time.Second, 2*before)
			}
		}
		m.to(ctx, pool)
		agent()
		m.arrives(ctx, pool)
		stop(ctx)
	}, NodeTimeout(limit))

	It("is served again after a crash in the middle, though its password can no longer be read", func(ctx SpecContext) {
		secret(ctx, "moved", "moved-password")
		m := newMover(ctx, "slow", fmt.Sprintf("kind: Export\nmetadata: {name: data}\nspec: {protocol: iscsi, luns: [{volume: data}], "+
			"initiators: [{name: %q, auth: {chap: {username: db, passwordFrom: {file: /etc/volreconciler/secrets/moved}}}}]}", dbHost))
		device := m.attach(ctx, 3600, chap("db", "moved-password")...)
		stop := workload(ctx, device)
		for _, pool := range []string{"fast", "slow"} {
			kill(ctx)
			wait := killAt(ctx, off, "0")
			m.to(ctx, pool)
			agent()
			wait(ctx)
			sh(ctx, off+" && mv /etc/volreconciler/secrets/moved /run/moved")

			By("with the file gone")
			agent()
			eventually(ctx, "Export/data", beIn(status.Blocked, status.ReasonInvalid))
			Eventually(ctx, func() int { return try(ctx, off).ExitCode }).WithTimeout(patience).ShouldNot(BeZero())
			Eventually(ctx, func() bool { return reads(ctx, device) }).WithTimeout(patience).Should(BeTrue())
			Expect(m.content(ctx, device)).To(Equal(m.digest))

			By("with the file back")
			sh(ctx, "mv /run/moved /etc/volreconciler/secrets/moved")
			m.arrives(ctx, pool)
		}
		stop(ctx)
		Expect(m.content(ctx, device)).To(Equal(m.digest))
	}, NodeTimeout(limit))

	It("is in one place after a power cut", func(ctx SpecContext) {
		m := newMover(ctx, "fast", iscsiExport, "--copy-rate", "4Mi")
		m.to(ctx, "slow")
		eventually(ctx, "Volume/data", HaveField("Progress", HaveField("Done", BeNumerically(">", 16<<20))))
		files := sh(ctx, "tar -C / -c specs var/lib/volreconciler | base64 -w0") // the guest's root is new after a boot
		again := func() {
			GinkgoHelper()
			cutPower(ctx)
			prepare(ctx)
			put(ctx, "/tmp/files", files)
			sh(ctx, "base64 -d /tmp/files | tar -C / -x")
			heal(ctx)
		}
		again()
		Expect(m.in(ctx, "fast")).To(BeTrue())

		By("in the middle of the last step")
		agent()
		Eventually(ctx, func() int { return try(ctx, off).ExitCode }).WithPolling(20 * time.Millisecond).WithTimeout(patience).Should(BeZero())
		again()
		GinkgoWriter.Println("after the power cut in the last step:", volumesOf(ctx))
		Expect(m.counts(ctx).Identity()).To(Equal(m.identity))
		agent()
		m.arrives(ctx, "slow")
	}, NodeTimeout(limit))
})
