package reconcile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// machine is a model behind the interfaces of the loop.
type machine struct {
	mu   sync.Mutex
	node *model.Node
	fail func(change.Change) error
}

func (m *machine) Load(context.Context) spec.Set {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node.Declared
}

func (m *machine) Observe(context.Context, ...string) observe.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node.Copy()
}

func (m *machine) Apply(_ context.Context, c change.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(c); err != nil {
			return err
		}
	}
	return m.node.Try(c)
}

func newLoop(m *machine, state string) *Loop {
	memory, err := OpenMemory(state)
	Expect(err).NotTo(HaveOccurred())
	return &Loop{
		Source: m, Observer: m, Memory: memory, Status: &status.Board{}, Log: logr.Discard(), Resync: time.Hour, MaxDeletions: 100,
		Executor: &execute.Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: m, observe.LIO: m}},
	}
}

var _ = Describe("Loop", func() {
	var m *machine
	var state string
	var loop *Loop
	BeforeEach(func() {
		m = &machine{node: model.NewNode()}
		state = filepath.Join(GinkgoT().TempDir(), "state", "identities.json")
		loop = newLoop(m, state)
	})

	It("converges, checks the result, and then waits", func(ctx SpecContext) {
		Expect(loop.Pass(ctx)).To(BeZero(), "what was changed is to be checked")
		Expect(loop.Pass(ctx)).To(Equal(time.Hour))
		report, _ := loop.Status.Report()
		Expect(report.Converged()).To(BeTrue())
	})
	It("looks again soon at what it could not read", func(ctx SpecContext) {
		loop.Pass(ctx)
		loop.Pass(ctx)
		m.node.State.UnknownGroups = errors.New("locked")
		Expect(loop.Pass(ctx)).To(Equal(time.Second))
		Expect(loop.Pass(ctx)).To(Equal(2 * time.Second))
		m.node.State.UnknownGroups = nil
		Expect(loop.Pass(ctx)).To(Equal(time.Hour))
	})
	It("does not wait for ever for a change that hangs, and passes again when it ends", func(ctx SpecContext) {
		letGo := make(chan struct{})
		m.fail = func(c change.Change) error {
			if _, ok := c.(change.CreateThinPool); ok {
				m.mu.Unlock()
				<-letGo
				m.mu.Lock()
			}
			return nil
		}
		loop.Executor.Patience = 10 * time.Millisecond
		running, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { defer close(ended); loop.Run(running, nil) }()
		Eventually(ctx, func() []status.Object { report, _ := loop.Status.Report(); return report.Objects }).Should(ContainElement(
			And(HaveField("Name", "fast"), model.BeIn(status.Progressing, status.ReasonConverging))))
		close(letGo)
		Eventually(ctx, func() bool { report, _ := loop.Status.Report(); return report.Converged() && len(report.Objects) > 0 }).Should(BeTrue())
		stop()
		Eventually(ctx, ended).Should(BeClosed())
	}, NodeTimeout(time.Minute))
	It("remembers what it made, also across a restart", func(ctx SpecContext) {
		loop.Pass(ctx)
		loop.Pass(ctx)
		delete(m.node.State.LIO.ISCSI, model.IQN)
		m.node.Change(change.RemoveBackstore{Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:data"}})
		delete(m.node.LVs("vg0"), "data")

		loop = newLoop(m, state)
		loop.Pass(ctx)
		loop.Pass(ctx)
		report, _ := loop.Status.Report()
		Expect(model.ObjectOf(plan.Plan{Objects: report.Objects}, model.VolumeID("data"))).To(model.BeIn(status.Blocked, status.ReasonVanished))
		Expect(m.node.LVs("vg0")).NotTo(HaveKey("data"))
	})
	It("remembers what a file said about sessions, also across a restart", func(ctx SpecContext) {
		m.node.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
		loop.Pass(ctx)
		m.node.UndeclareAll()
		m.node.LogIn()
		loop = newLoop(m, state)
		loop.Pass(ctx)
		Expect(m.node.State.LIO.ISCSI).To(BeEmpty())
		loop.Pass(ctx)
		Expect(os.ReadFile(state)).NotTo(ContainSubstring("Export/db"))
	})
	It("opens a target that its cutover closed, also after a restart with an invalid Export", func(ctx SpecContext) {
		m.node = model.Movable()
		before := m.node.Copy().LIO.ISCSI[model.IQN]
		m.node.MoveTo("thick", "fast")
		running, died := context.WithCancel(ctx)
		m.fail = func(c change.Change) error {
			if _, last := c.(change.Cutover); last {
				m.node.Withhold(nil)
				died()
				return errors.New("killed")
			}
			return nil
		}
		loop.Executor.Actuators[observe.Data], loop.Executor.Jobs = m, 1
		for range 10 {
			loop.Pass(running)
			loop.Executor.Wait()
		}
		Expect(running.Err()).To(HaveOccurred(), "it began the cutover")
		Expect(m.node.State.LIO.ISCSI[model.IQN]).To(And(HaveField("Enabled", false), HaveField("LUNs", HaveLen(1))))
		Expect(os.ReadFile(state)).To(ContainSubstring(`"disabled": true`))
		m.fail = nil
		loop = newLoop(m, state)
		for range 3 {
			loop.Pass(ctx)
		}
		Expect(m.node.State.LIO.ISCSI[model.IQN]).To(Equal(before))
		Expect(os.ReadFile(state)).NotTo(ContainSubstring("interrupted"))
	})
	It("begins no cutover that cannot be remembered, and goes on with everything else", func(ctx SpecContext) {
		m.node = model.Movable()
		loop.Executor.Actuators[observe.Data], loop.Executor.Jobs = m, 1
		loop.Pass(ctx)
		m.node.MoveTo("thick", "fast")
		closed := false
		m.fail = func(c change.Change) error {
			if _, disables := c.(change.DisableTarget); disables {
				closed = true
			}
			if _, copies := c.(change.Stage); copies {
				Expect(os.Rename(filepath.Dir(state), filepath.Dir(state)+"-away")).To(Succeed())
				Expect(os.WriteFile(filepath.Dir(state), nil, 0o600)).To(Succeed())
			}
			return nil
		}
		m.node.Declared.Volumes["new"] = spec.Volume{Metadata: model.Meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: model.MiB, LVName: "new"}}
		for range 12 {
			loop.Pass(ctx)
			loop.Executor.Wait()
		}
		Expect(closed).To(BeFalse(), "nobody's session ends")
		Expect(m.node.LVs("vg0")).To(HaveKey("new"))
		report, _ := loop.Status.Report()
		Expect(report.Findings).To(ContainElement(HaveField("Message", ContainSubstring("nothing is removed from initiators"))))
		Expect(os.Remove(filepath.Dir(state))).To(Succeed())
		for range 12 {
			loop.Pass(ctx)
			loop.Executor.Wait()
		}
		Expect(closed).To(BeTrue(), "it can be remembered again")
		Expect(m.node.LVs("vg0")["thick"].Type).To(Equal(observe.Thin))
	})
	It("begins to put nothing back that cannot be remembered", func(ctx SpecContext) {
		loop.Pass(ctx)
		loop.Pass(ctx)
		m.node.DeclareRevert("thick", "tnightly", "one")
		Expect(os.Rename(filepath.Dir(state), filepath.Dir(state)+"-away")).To(Succeed())
		Expect(os.WriteFile(filepath.Dir(state), nil, 0o600)).To(Succeed())
		for range 3 {
			loop.Pass(ctx)
		}
		Expect(m.node.LVs("vg0")["thick"].Phase()).To(BeEmpty())
		Expect(os.Remove(filepath.Dir(state))).To(Succeed())
		Eventually(func() string { loop.Pass(ctx); return string(m.node.LVs("vg0")["thick"].Phase()) }).Should(Equal("reverting"))
	})
	It("opens a target that its cutover closed late, when its Export was invalid already", func(ctx SpecContext) {
		m.node = model.Movable()
		before := m.node.Copy().LIO.ISCSI[model.IQN]
		m.node.MoveTo("thick", "fast")
		loop.Executor.Actuators[observe.Data], loop.Executor.Jobs = m, 1
		loop.Executor.Patience = 50 * time.Millisecond
		hangs, letGo := false, make(chan struct{})
		m.fail = func(c change.Change) error {
			if _, disables := c.(change.DisableTarget); disables {
				m.node.Withhold(nil)
				hangs = true
				m.mu.Unlock()
				<-letGo
				m.mu.Lock()
			}
			return nil
		}
		for range 20 {
			loop.Pass(ctx)
			m.mu.Lock()
			begun := hangs
			m.mu.Unlock()
			if begun {
				break
			}
		}
		Expect(hangs).To(BeTrue())
		loop.Pass(ctx)
		close(letGo)
		loop.Executor.Wait()
		Expect(m.node.State.LIO.ISCSI[model.IQN].Enabled).To(BeFalse())
		for range 3 {
			loop.Pass(ctx)
			loop.Executor.Wait()
		}
		Expect(m.node.State.LIO.ISCSI[model.IQN]).To(Equal(before))
		Expect(os.ReadFile(state)).NotTo(ContainSubstring("interrupted"))
	})
	It("reads a memory that knows of volumes alone", func() {
		Expect(os.MkdirAll(filepath.Dir(state), 0o700)).To(Succeed())
		Expect(os.WriteFile(state, []byte(`{"Volume/data": {"uuid": "u", "volumeGroup": "vg0"}}`), 0o600)).To(Succeed())
		memory, err := OpenMemory(state)
		Expect(err).NotTo(HaveOccurred())
		Expect(memory.Known()).To(Equal(map[spec.ID]plan.Identity{model.VolumeID("data"): {UUID: "u", VolumeGroup: "vg0", Declared: true}}))
	})
	It("deletes no more than it may, and says so", func(ctx SpecContext) {
		loop.Pass(ctx)
		m.node.UndeclareAll()
		loop.MaxDeletions = 4
		loop.Pass(ctx)
		Expect(m.node.State.LIO.ISCSI).To(HaveKey(model.IQN))
		report, _ := loop.Status.Report()
		Expect(model.ObjectOf(plan.Plan{Objects: report.Objects}, model.ExportID("db"))).To(model.BeIn(status.Blocked, status.ReasonTooManyDeletions))
		loop.MaxDeletions = 5
		loop.Pass(ctx)
		Expect(m.node.State.LIO.ISCSI).To(BeEmpty())
	})
	It("keeps the trash for the time that it takes a clock to be corrected", func(ctx SpecContext) {
		m.node.SetTrashPeriod(24 * time.Hour)
		loop.Pass(ctx)
		m.node.UndeclareAll()
		loop.Pass(ctx)
		for name := range m.node.LVs("vg0") {
			m.node.Edit("vg0/"+name, func(lv *observe.LogicalVolume) {
				lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return strings.HasPrefix(t, ondisk.TagDeleted) })
				lv.Tags = append(lv.Tags, ondisk.DeletedTag(time.Now().Add(-48*time.Hour)))
			})
		}
		loop.Pass(ctx)
		text, err := os.ReadFile(state)
		Expect(err).NotTo(HaveOccurred())
		ago := time.Now().Add(-48 * time.Hour).Format(time.RFC3339)
		text = regexp.MustCompile(`"trashedSince": "[^"]*"`).ReplaceAll(text, []byte(`"trashedSince": "`+ago+`"`))
		Expect(os.WriteFile(state, text, 0o600)).To(Succeed())
		loop = newLoop(m, state)
		loop.TrashSettle = time.Hour
		Expect(loop.Pass(ctx)).To(Equal(time.Hour))
		Expect(m.node.LVs("vg0")).To(HaveLen(5))
		loop = newLoop(m, state)
		loop.Pass(ctx)
		Expect(m.node.LVs("vg0")).To(HaveLen(1))
	})
	It("says when it cannot remember, and goes on", func(ctx SpecContext) {
		Expect(os.WriteFile(filepath.Dir(state), nil, 0o600)).To(Succeed())
		loop.Pass(ctx)
		loop.Pass(ctx)
		loop.Pass(ctx)
		report, _ := loop.Status.Report()
		Expect(report.Findings).To(ContainElement(HaveField("Message", ContainSubstring("cannot store"))))
		Expect(report.Converged()).To(BeFalse())
		Expect(m.node.LVs("vg0")).To(HaveKey("data"))

		Expect(os.Remove(filepath.Dir(state))).To(Succeed())
		loop.Pass(ctx)
		Expect(state).To(BeAnExistingFile())
	})
	It("refuses to start with a memory that it cannot read", func() {
		Expect(os.MkdirAll(filepath.Dir(state), 0o700)).To(Succeed())
		Expect(os.WriteFile(state, []byte(`{"Volume/data": 1`), 0o600)).To(Succeed())
		_, err := OpenMemory(state)
		Expect(err).To(MatchError(ContainSubstring(state)))
	})
	It("goes on with the others when one object fails, and says so", func(ctx SpecContext) {
		m.fail = func(c change.Change) error {
			if create, ok := c.(change.CreateVolume); ok && create.Name == "data" {
				return change.ErrNoSpace
			}
			return nil
		}
		loop.Pass(ctx)
		wait := loop.Pass(ctx)
		Expect(wait).To(BeNumerically("<=", 2*time.Second), "a failure is retried")
		report, _ := loop.Status.Report()
		objects := plan.Plan{Objects: report.Objects}
		Expect(model.ObjectOf(objects, model.VolumeID("data"))).To(model.BeIn(status.Failed, status.ReasonNoSpace))
		Expect(model.ObjectOf(objects, model.SnapshotID("nightly"))).To(model.BeIn(status.Blocked, status.ReasonNotReady))
		Expect(model.ObjectOf(objects, model.VolumeID("thick"))).To(model.BeIn(status.Ready, status.ReasonAsDesired))
		Expect(m.node.State.LIO.ISCSI[model.IQN].LUNs).To(HaveKey(1))
	})
	It("does not spin when somebody undoes what it does", func(ctx SpecContext) {
		loop.Pass(ctx)
		var waits []time.Duration
		for range 8 {
			m.node.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = false })
			waits = append(waits, loop.Pass(ctx))
		}
		Expect(waits[len(waits)-1]).To(BeNumerically("~", firstHold, time.Second), "%v", waits)
	})
	It("does not pause on a long way of ever other changes", func(ctx SpecContext) {
		loop.Pass(ctx)
		for range 9 {
			v := m.node.Declared.Volumes["data"]
			v.Spec.Size += 4 * model.MiB
			m.node.Declared.Volumes["data"] = v
			Expect(loop.Pass(ctx)).To(BeZero())
		}
	})
	It("gives removed files the grace period, counted from its own start", func(ctx SpecContext) {
		loop.Pass(ctx)
		loop.Grace = time.Hour
		m.node.Declared.Volumes, m.node.Declared.Snapshots, m.node.Declared.Exports = nil, nil, nil
		loop.Pass(ctx)
		Expect(m.node.LVs("vg0")).To(HaveKey("data"))
		loop = newLoop(m, state)
		loop.Grace = time.Hour
		loop.Pass(ctx)
		Expect(m.node.LVs("vg0")).To(HaveKey("data"))
		loop.Grace = 0
		loop.Pass(ctx)
		Expect(m.node.LVs("vg0")).NotTo(HaveKey("data"))
	})
	It("passes when it is woken, and ends when it is told to", func() {
		ctx, cancel := context.WithCancel(context.Background())
		wake, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer GinkgoRecover()
			defer close(ended)
			loop.Run(ctx, wake)
		}()
		converged := func() bool { r, _ := loop.Status.Report(); return r.Converged() && r.Generation > 0 }
		Eventually(converged).Should(BeTrue())
		m.mu.Lock()
		m.node.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = false })
		m.mu.Unlock()
		wake <- struct{}{}
		Eventually(func() bool { return m.Observe(ctx).VolumeGroups["vg0"].LogicalVolumes["thick"].Active }).Should(BeTrue())
		cancel()
		Eventually(ended).Should(BeClosed())
	})
	It("keeps the time of a phase while it lasts, and tells who watches of news alone", func(ctx SpecContext) {
		loop.Pass(ctx)
		loop.Pass(ctx)
		first, changed := loop.Status.Report()
		loop.Pass(ctx)
		second, _ := loop.Status.Report()
		Expect(second.Objects).To(Equal(first.Objects))
		Expect(second.Time).To(BeTemporally(">", first.Time))
		Expect(changed).NotTo(BeClosed())
		m.node.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = false })
		loop.Pass(ctx)
		Expect(changed).To(BeClosed())
	})
})

var _ = Describe("A revert while somebody fights the agent", func() {
	It("serves the Volume again at once, whatever else on the node is changed over and over", func(ctx SpecContext) {
		m := &machine{node: model.NewNode()}
		loop := newLoop(m, filepath.Join(GinkgoT().TempDir(), "state", "identities.json"))
		loop.Pass(ctx)
		loop.Pass(ctx)
		// Somebody's script undoes something of another volume after each pass.
		fight := func() time.Duration {
			m.node.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags = lv.Tags[:2] })
			return loop.Pass(ctx)
		}
		for range 8 {
			fight()
		}
		v := m.node.Declared.Volumes["data"]
		v.Spec.Revert = &spec.Revert{Snapshot: "nightly", Request: "one"}
		m.node.Declared.Volumes["data"] = v
		for range 4 {
			wait := fight()
			if !m.node.State.LIO.ISCSI[model.IQN].Enabled {
				Expect(wait).To(BeZero(), "initiators wait for as long")
			}
		}
	})
})
