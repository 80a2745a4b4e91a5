package tgt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/lio"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
	"github.com/volreconciler/volreconciler/test/tgtd"
)

// agent is the whole agent: on LVM in memory, and a real tgtd.
type agent struct {
	*node
	// dir holds the specs, passwords and what the agent remembers.
	dir                  string
	size, extra, more    string
	luns, hosts          []string
	protocol, disconnect string
	passed               []string
}

func newAgent(ctx context.Context) *agent {
	GinkgoHelper()
	a := &agent{node: newNode(ctx), dir: GinkgoT().TempDir(), size: "64Mi", protocol: "iscsi", disconnect: "Wait",
		luns: []string{"{volume: one}"}, hosts: []string{entry(initiator, "u")}}
	Expect(os.Mkdir(filepath.Join(a.dir, "specs"), 0o700)).To(Succeed())
	a.secret("u", password)
	a.secret("v", password2)
	return a
}

// entry is an initiator of the export, with a user and the password of that file.
func entry(name, user string) string {
	return fmt.Sprintf("{name: %q, auth: {chap: {username: %s, passwordFrom: {file: SECRETS/%s}}}}", name, user, user)
}

func (a *agent) secret(name, password string) {
	GinkgoHelper()
	Expect(os.WriteFile(filepath.Join(a.dir, name), []byte(password), 0o600)).To(Succeed())
}

// write writes the specs, with the export or without.
func (a *agent) write(export bool) {
	GinkgoHelper()
	documents := []string{
		"kind: Pool\nmetadata: {name: slow}\nspec: {volumeGroup: vg0, trash: 0s, clear: none}",
		"kind: Volume\nmetadata: {name: one}\nspec: {pool: slow, size: " + a.size + ", deletionPolicy: Delete}",
		"kind: Volume\nmetadata: {name: two}\nspec: {pool: slow, size: 64Mi, deletionPolicy: Delete}",
	}
	if export {
		documents = append(documents, fmt.Sprintf(
			"kind: Export\nmetadata: {name: db}\nspec: {protocol: %s, target: %q, portals: [%q%s], disconnect: %s, luns: [%s], initiators: [%s]}",
			a.protocol, iqn, a.portal, a.extra, a.disconnect, strings.Join(a.luns, ", "), strings.Join(a.hosts, ", ")))
	}
	if a.more != "" {
		documents = append(documents, a.more)
	}
	for i, d := range documents {
		documents[i] = "apiVersion: volreconciler/v1alpha1\n" + d + "\n"
	}
	text := strings.ReplaceAll(strings.Join(documents, "---\n"), "SECRETS", a.dir)
	Expect(os.WriteFile(filepath.Join(a.dir, "specs", "all.yaml"), []byte(text), 0o600)).To(Succeed())
}

// writePool writes specs of nothing but the pool.
func (a *agent) writePool() {
	GinkgoHelper()
	const text = "apiVersion: volreconciler/v1alpha1\nkind: Pool\nmetadata: {name: slow}\nspec: {volumeGroup: vg0, trash: 0s, clear: none}\n"
	Expect(os.WriteFile(filepath.Join(a.dir, "specs", "all.yaml"), []byte(text), 0o600)).To(Succeed())
}

// converge makes passes until there is nothing more to do, and returns what
// objects are not Ready. A new agent makes them: it remembers what is in its file.
func (a *agent) converge(ctx context.Context) map[string]string {
	GinkgoHelper()
	memory, err := reconcile.OpenMemory(filepath.Join(a.dir, "identities.json"))
	Expect(err).NotTo(HaveOccurred())
	loop := &reconcile.Loop{
		Source:   spec.NewSource(filepath.Join(a.dir, "specs"), spec.Options{Secrets: true, Settle: time.Millisecond, Log: logr.Discard()}),
		Observer: observe.NewWithTGT(a.Host, a.tgt),
		Executor: &execute.Executor{Actuators: map[observe.System]change.Actuator{
			observe.LVM: lvm.New(a.Host, a.Host), observe.LIO: lio.New(a.Host), observe.TGT: a.Actuator,
		}},
		Memory: memory, Status: &status.Board{}, Log: logr.Discard(), MaxDeletions: 10, Resync: time.Hour, TGT: true,
	}
	for range 20 {
		if loop.Pass(ctx) > 0 {
			break
		}
	}
	report, _ := loop.Status.Report()
	Expect(report.Findings).To(BeEmpty())
	stand := map[string]string{}
	for _, o := range report.Objects {
		Expect(o.Message).NotTo(Or(ContainSubstring(password), ContainSubstring(password2)))
		if o.Phase != status.Ready {
			stand[string(o.Kind)+" "+o.Name] = string(o.Phase) + " " + o.Reason + ": " + o.Message
		}
	}
	return stand
}

// apply writes the specs and expects that it becomes as they say, and stays.
func (a *agent) apply(ctx context.Context) {
	GinkgoHelper()
	a.write(true)
	Expect(a.converge(ctx)).To(BeEmpty())
	before, _ := a.seen(ctx, iqn)
	Expect(a.converge(ctx)).To(BeEmpty())
	after, _ := a.seen(ctx, iqn)
	Expect(after).To(Equal(before))
}

func (a *agent) by(name string) {
	By(name)
	a.passed = append(a.passed, name)
}

func (a *agent) connects(ctx context.Context, credentials string, lun int) bool {
	GinkgoHelper()
	_, err := a.iscsi(ctx, initiator, credentials, lun, "iscsi-inq")
	return err == nil
}

// load has libiscsi read from LUN 0 for a while. The function it returns waits for
// the end and returns what it said.
func (a *agent) load(ctx context.Context, credentials string, long time.Duration) func() string {
	GinkgoHelper()
	wait := a.daemon.Load(ctx, initiator, credentials, iqn, observe.TGTLUN(0), long)
	sessions := func() int { t, _ := a.seen(ctx, iqn); return t.Sessions }
	Eventually(ctx, sessions).Should(Equal(1))
	return func() string {
		out := wait()
		Eventually(ctx, sessions).Should(BeZero())
		return out
	}
}

var _ = Describe("The agent, with exports by tgtd", func() {
	It("passes what every protocol has to", func(ctx SpecContext) {
		began := time.Now()
		a := newAgent(ctx)

		a.by("an export is served to whom it lists, with a password")
		a.apply(ctx)
		Expect(a.connects(ctx, user("u", password), 0)).To(BeTrue())
		for _, wrong := range []string{"", user("u", password2), user("v", password2)} {
			Expect(a.connects(ctx, wrong, 0)).To(BeFalse(), wrong)
		}
		_, err := a.iscsi(ctx, stranger, user("u", password), 0, "iscsi-inq")
		Expect(err).To(HaveOccurred())

		a.by("the serial is that of the volume")
		serial := ondisk.UnitSerial(a.Node().VolumeGroups[0].LogicalVolumes[0].UUID)
		out, err := a.iscsi(ctx, initiator, user("u", password), 0, "iscsi-inq", "-e", "1", "-c", "128")
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(out).To(ContainSubstring(serial))

		a.by("LUNs, initiators, portals and passwords change under load")
		ended := a.load(ctx, user("u", password), 3*time.Second)
		a.luns = append(a.luns, "{volume: two, lun: 5}")
		a.hosts = append(a.hosts, entry(stranger, "v"))
		a.extra = fmt.Sprintf(", %q", tgtd.FreePort())
		a.apply(ctx)
		a.secret("u", password2)
		a.apply(ctx)
		Expect(a.connects(ctx, user("u", password2), 5)).To(BeTrue())
		Expect(a.connects(ctx, user("u", password), 0)).To(BeFalse())
		said := ended()
		Expect(said).To(ContainSubstring("iops"))
		Expect(strings.ToLower(said)).NotTo(Or(ContainSubstring("fail"), ContainSubstring("error"), ContainSubstring("reconnect")))

		a.by("it grows under a session, which is made anew")
		ended = a.load(ctx, user("u", password2), time.Second)
		a.size = "128Mi"
		a.apply(ctx)
		_ = ended()
		out, err = a.iscsi(ctx, initiator, user("u", password2), 0, "iscsi-readcapacity16")
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(out).To(ContainSubstring("134217728"))

		a.by("drift is corrected")
		t, err := a.find(ctx, iqn)
		Expect(err).NotTo(HaveOccurred())
		before, _ := a.seen(ctx, iqn)
		Expect(a.tgt.AllowAddress(ctx, t.ID, tgtadm.AllInitiators)).To(Succeed())
		Expect(a.tgt.ForbidInitiator(ctx, t.ID, initiator)).To(Succeed())
		Expect(a.tgt.DeleteLUN(ctx, t.ID, 6)).To(Succeed())
		Expect(a.tgt.UpdateLUN(ctx, t.ID, 1, tgtadm.Parameter{Name: "readonly", Value: "1"})).To(Succeed())
		Expect(a.tgt.UnbindAccounts(ctx, t.ID, t.Incoming, t.Incoming...)).To(Succeed())
		Expect(a.tgt.SetTargetReady(ctx, t.ID, false)).To(Succeed())
		a.apply(ctx)
		after, _ := a.seen(ctx, iqn)
		before.AuthMark, after.AuthMark = "", ""
		Expect(after).To(Equal(before))

		a.by("what is in use is not taken away")
		ended = a.load(ctx, user("u", password2), 2*time.Second)
		a.luns = a.luns[:1]
		a.write(true)
		Expect(a.converge(ctx)).To(HaveKeyWithValue("Export db", And(HavePrefix("Blocked SessionsActive"), ContainSubstring(initiator))))
		a.write(false)
		Expect(a.converge(ctx)).To(HaveKeyWithValue("Export db", And(HavePrefix("Blocked SessionsActive"), ContainSubstring(initiator))))
		Expect(ended()).NotTo(ContainSubstring("fail"))
		a.apply(ctx)
		seen, _ := a.seen(ctx, iqn)
		Expect(seen.LUNs).To(HaveLen(1))

		a.by("by force it is")
		ended = a.load(ctx, user("u", password2), 2*time.Second)
		a.disconnect = "Force"
		a.hosts = a.hosts[1:]
		a.apply(ctx)
		Expect(a.connects(ctx, user("u", password2), 0)).To(BeFalse())
		_ = ended()
		a.hosts = []string{entry(initiator, "u")}
		a.apply(ctx)

		a.by("what tgtd cannot keep apart is not exported")
		for what, edit := range map[string]func(){
			"auth differs": func() { a.hosts = append(a.hosts, fmt.Sprintf("{name: %q}", stranger)) },
			"readOnly":     func() { a.hosts = append(a.hosts, strings.Replace(entry(stranger, "v"), "{", "{readOnly: true, ", 1)) },
			"every LUN": func() {
				a.luns = append(a.luns, "{volume: two}")
				a.hosts = append(a.hosts, strings.Replace(entry(stranger, "v"), "{", "{luns: [0], ", 1))
			},
			"cannot serve protocol iser": func() { a.protocol = "iser" },
		} {
			hosts, luns := a.hosts, a.luns
			edit()
			a.write(true)
			Expect(a.converge(ctx)).To(HaveKeyWithValue("Export db", And(HavePrefix("Blocked Unsupported"), ContainSubstring(what))))
			a.hosts, a.luns, a.protocol = hosts, luns, "iscsi"
		}
		a.apply(ctx)

		a.by("a user has one password on a node, and who has it keeps it")
		a.more = fmt.Sprintf("kind: Export\nmetadata: {name: a}\nspec: {protocol: iscsi, portals: [%q%s], luns: [{volume: two}], initiators: [%s]}",
			a.portal, a.extra, strings.Replace(entry(stranger, "u"), "SECRETS/u", "SECRETS/other", 1))
		a.secret("other", password)
		a.write(true)
		Expect(a.converge(ctx)).To(Equal(map[string]string{
			"Export a": "Blocked Unsupported: user u has another password in Export/db, but tgtd (backend: tgt) shares users between targets. Use another username",
		}))
		a.secret("other", password2)
		a.apply(ctx)
		Expect(a.connects(ctx, user("u", password2), 0)).To(BeTrue())
		a.more = ""
		a.apply(ctx)

		a.by("after tgtd was started anew it is the same")
		before, _ = a.seen(ctx, iqn)
		a.restart(ctx)
		a.apply(ctx)
		after, _ = a.seen(ctx, iqn)
		before.AuthMark, after.AuthMark = "", ""
		Expect(after).To(Equal(before))
		Expect(a.connects(ctx, user("u", password2), 0)).To(BeTrue())

		a.by("while tgtd does not run nothing is deleted")
		a.daemon.Stop()
		a.writePool()
		Expect(a.converge(ctx)).To(HaveKeyWithValue("Volume one", HavePrefix("Blocked ObservationFailed")))
		Expect(a.Node().VolumeGroups[0].LogicalVolumes).To(HaveLen(2))
		a.write(true)
		Expect(a.converge(ctx)).To(HaveKeyWithValue("Export db", And(HavePrefix("Failed ObservationFailed"), ContainSubstring("systemctl start tgt"))))
		a.restart(ctx)
		a.apply(ctx)

		a.by("it goes, and its volumes after it")
		a.writePool()
		_ = a.converge(ctx)
		_, there := a.seen(ctx, iqn)
		Expect(there).To(BeFalse())
		Expect(a.tgt.Accounts(ctx)).To(ConsistOf(ondisk.GuardAccount))
		Expect(a.Node().VolumeGroups[0].LogicalVolumes).To(BeEmpty())

		AddReportEntry(fmt.Sprintf("conformance protocol=iscsi backend=tgt cases=%d seconds=%.0f", len(a.passed), time.Since(began).Seconds()))
	})
})
