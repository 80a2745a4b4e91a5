package reconcile

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

var _ = Describe("A change that somebody undoes", func() {
	var m *machine
	var loop *Loop
	var now time.Time
	BeforeEach(func(ctx SpecContext) {
		m = &machine{node: model.NewNode()}
		loop = newLoop(m, filepath.Join(GinkgoT().TempDir(), "state", "identities.json"))
		now = time.Now()
		loop.Clock = func() time.Time { return now }
		loop.uptime = func() time.Duration { return now.Sub(time.Unix(0, 0)) }
		loop.Pass(ctx)
		loop.Pass(ctx)
	})
	deactivate := func() {
		m.node.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = false })
	}
	isActive := func() bool { return m.node.State.VolumeGroups["vg0"].LogicalVolumes["thick"].Active }
	// undone makes the change somebody's to undo, until it is held.
	undone := func(ctx SpecContext) {
		for range contendedTimes {
			deactivate()
			loop.Pass(ctx)
			Expect(isActive()).To(BeTrue(), "it is put back at once")
			loop.Pass(ctx)
			now = now.Add(time.Second)
		}
		deactivate()
	}
	object := func() status.Object {
		report, _ := loop.Status.Report()
		return model.ObjectOf(plan.Plan{Objects: report.Objects}, model.VolumeID("thick"))
	}

	It("waits longer each time, and says so", func(ctx SpecContext) {
		undone(ctx)
		for _, wait := range []time.Duration{firstHold, 2 * firstHold, 4 * firstHold} {
			Expect(loop.Pass(ctx)).To(BeNumerically("<=", wait))
			Expect(isActive()).To(BeFalse())
			Expect(object()).To(model.BeIn(status.Blocked, status.ReasonContended))
			Expect(object().Message).To(ContainSubstring("something undoes this change"))
			now = now.Add(wait)
			loop.Pass(ctx)
			Expect(isActive()).To(BeTrue())
			deactivate()
		}
	})
	It("is made at once again when it has lasted for a while", func(ctx SpecContext) {
		undone(ctx)
		loop.Pass(ctx)
		now = now.Add(firstHold)
		loop.Pass(ctx)
		loop.Pass(ctx)
		Expect(object()).To(model.BeIn(status.Ready, status.ReasonAsDesired))
		now = now.Add(2 * contendedWithin)
		loop.Pass(ctx)
		deactivate()
		loop.Pass(ctx)
		Expect(isActive()).To(BeTrue())
	})
	It("is made at once if the object is edited", func(ctx SpecContext) {
		undone(ctx)
		v := m.node.Declared.Volumes["thick"]
		v.Metadata.Labels = map[string]string{"edited": "yes"}
		m.node.Declared.Volumes["thick"] = v
		loop.Pass(ctx)
		Expect(isActive()).To(BeTrue())
	})
	It("is hardly delayed if it keeps initiators out", func() {
		for _, c := range []change.Change{change.SetAttributes{}, change.SetAuth{}, change.RemoveInitiator{}, change.UnmapLUN{}, change.DisableTarget{}} {
			Expect(hold(9, c)).To(Equal(maxExposedBy), change.Name(c))
		}
		Expect(hold(9, change.MapLUN{})).To(Equal(maxHold))
	})
	It("is not held if it must be made at once", func() {
		var c contention
		s := plan.Step{Object: model.VolumeID("thick"), Change: change.EnableTarget{}}
		for range 5 {
			c.note(s, "", nil, now)
		}
		Expect(c.isHeld(s, now)).To(BeTrue())
		s.AtOnce = true
		Expect(c.isHeld(s, now)).To(BeFalse())
	})
})

var _ = Describe("Who changed something", func() {
	now := time.Now()
	alice := &watch.Process{PID: 4711, Command: "targetcli", Executable: "/usr/bin/python3.13", User: "root", LoginUID: 1000, LoginUser: "alice", Parents: []string{"bash", "sshd"}}
	own := &watch.Process{PID: 1, Command: "lvchange", Own: true}
	db := change.MapLUN{Target: change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-11.io.volreconciler:db"}}
	dir := observe.ISCSITarget(db.Name).Path
	observed := observe.State{VolumeGroups: map[string]observe.VolumeGroup{"vg0": {PhysicalVolumes: []string{"/dev/sda"}}}}
	lv := change.SetTags{LV: change.LV{VolumeGroup: "vg0", Name: "db"}}

	DescribeTable("is found by what was changed", func(e watch.Event, c change.Change, found bool) {
		var s sightings
		s.note([]watch.Event{e}, now)
		if by := s.of(c, observed); found {
			Expect(by.String()).To(Equal("targetcli (/usr/bin/python3.13, pid 4711, uid 0 root, login uid 1000 alice, from bash, sshd)"))
		} else {
			Expect(by).To(BeNil())
		}
	},
		Entry("a file of the target", watch.Event{Source: watch.Configfs, Path: dir + "/tpgt_1/enable", By: alice}, db, true),
		Entry("the target", watch.Event{Source: watch.Configfs, Path: dir, By: alice}, db, true),
		Entry("another target, whose name begins with this one's", watch.Event{Source: watch.Configfs, Path: dir + "2/tpgt_1/enable", By: alice}, db, false),
		Entry("the disk of the volume group", watch.Event{Source: watch.Metadata, Path: "/dev/sda", By: alice}, lv, true),
		Entry("the disk of another volume group", watch.Event{Source: watch.Metadata, Path: "/dev/sdb", By: alice}, lv, false),
		Entry("LVM, though the target was changed", watch.Event{Source: watch.Metadata, Path: "/dev/sda", By: alice}, db, false),
		Entry("nobody whom the kernel named", watch.Event{Source: watch.Configfs, Path: dir}, db, false),
		Entry("ourselves", watch.Event{Source: watch.Metadata, Path: "/dev/sda", By: own}, lv, false),
	)
	It("is forgotten", func() {
		var s sightings
		s.note([]watch.Event{{Source: watch.Metadata, Path: "/dev/sda", By: alice}}, now)
		s.note(nil, now.Add(sightingFor+time.Second))
		Expect(s.of(lv, observed)).To(BeNil())
	})
	It("is shown with the object", func() {
		var d drifts
		step := plan.Step{Object: spec.ID{Kind: spec.KindExport, Name: "db"}, Change: db}
		actor := actorOf(*alice)
		d.note(step, &actor, now)
		d.note(step, &actor, now)
		objects := []status.Object{{Kind: spec.KindExport, Name: "db"}, {Kind: spec.KindExport, Name: "other"}}
		d.show(objects)
		Expect(objects[0].Drift).To(PointTo(And(HaveField("Corrected", 2), HaveField("By.PID", 4711))))
		Expect(objects[1].Drift).To(BeNil())
	})
})

var _ = Describe("What is made again and again", func() {
	target := change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-01.test:a", Export: "a"}
	backstore := change.Backstore{HBA: "iblock_0", Name: "a"}
	lv := change.LV{VolumeGroup: "vg0", Name: "copied"}
	export := spec.ID{Kind: spec.KindExport, Name: "a"}
	step := func(c change.Change) plan.Step { return plan.Step{Object: export, Change: c} }

	DescribeTable("is not held if the agent itself takes it away meanwhile, as in a cutover", func(made, takes change.Change) {
		var c contention
		now := time.Now()
		for range 10 {
			c.note(step(made), "", nil, now)
			c.note(step(takes), "", nil, now)
			Expect(c.isHeld(step(made), now)).To(BeFalse())
			now = now.Add(time.Second)
		}
	},
		Entry("a target that is paused", change.EnableTarget{Target: target}, change.DisableTarget{Target: target}),
		Entry("a portal", change.AddPortal{Target: target, Portal: "[::]:3260"}, change.RemovePortal{Target: target, Portal: "[::]:3260"}),
		Entry("a LUN", change.AddLUN{Target: target, LUN: 1}, change.RemoveLUN{Target: target, LUN: 1}),
		Entry("a LUN that is mapped", change.MapLUN{Target: target, LUN: 1}, change.RemoveLUN{Target: target, LUN: 1}),
		Entry("a backstore", change.CreateBackstore{Backstore: backstore}, change.RemoveBackstore{Backstore: backstore}),
		Entry("a target", change.CreateTarget{Target: target}, change.RemoveTarget{Target: target}),
		Entry("a snapshot to copy from", change.CreateSnapshot{LV: lv}, change.RemoveLV{LV: lv}),
	)
	DescribeTable("is held if the agent takes away something else", func(made, takes change.Change) {
		var c contention
		now := time.Now()
		for range contendedTimes {
			c.note(step(made), "", nil, now)
			c.note(step(takes), "", nil, now)
		}
		Expect(c.isHeld(step(made), now)).To(BeTrue())
	},
		Entry("another portal", change.AddPortal{Target: target, Portal: "[::]:3260"}, change.RemovePortal{Target: target, Portal: "[::]:3261"}),
		Entry("another LUN", change.AddLUN{Target: target, LUN: 1}, change.RemoveLUN{Target: target, LUN: 2}),
		Entry("itself", change.RemoveTarget{Target: target}, change.RemoveTarget{Target: target}),
		Entry("itself, of a backstore", change.RemoveBackstore{Backstore: backstore}, change.RemoveBackstore{Backstore: backstore}),
		Entry("only a portal", change.EnableTarget{Target: target}, change.RemovePortal{Target: target, Portal: "[::]:3260"}),
	)
	It("is hardly held if initiators are kept out only after it", func() {
		var c contention
		now := time.Now()
		add := plan.Step{ID: 1, Object: export, Change: change.AddPortal{Target: target, Portal: "192.0.2.1:3260"}}
		remove := plan.Step{ID: 2, Object: export, Change: change.RemovePortal{Target: target, Portal: "198.51.100.1:3260"}, Needs: []plan.StepID{1}}
		other := plan.Step{ID: 3, Object: export, Change: change.AddPortal{Target: target, Portal: "192.0.2.2:3260"}}
		for range 8 {
			for _, s := range []plan.Step{add, remove, other} {
				c.note(s, "", nil, now)
			}
		}
		c.hasten(plan.Plan{Steps: []plan.Step{add, remove, other}})
		for _, s := range []plan.Step{add, remove, other} {
			Expect(c.isHeld(s, now)).To(BeTrue())
		}
		now = now.Add(maxExposedBy)
		Expect(c.isHeld(add, now)).To(BeFalse())
		Expect(c.isHeld(remove, now)).To(BeFalse())
		Expect(c.isHeld(other, now)).To(BeTrue())
	})
	It("interrupts nobody for a change that is held", func() {
		var c contention
		now := time.Now()
		volume := model.VolumeID("a")
		set := plan.Step{Object: volume, Change: change.SetBackstoreAttribute{Backstore: backstore, Attribute: "emulate_pr", Value: "1"}}
		remove := plan.Step{Object: volume, Change: change.RemoveLUN{Target: target, LUN: 1}}
		for range contendedTimes {
			Expect(c.isHeld(remove, now)).To(BeFalse())
			c.note(remove, "", nil, now)
			c.note(set, "", nil, now)
			now = now.Add(maxExposedBy)
		}
		Expect(c.isHeld(set, now)).To(BeTrue())
		Expect(c.isHeld(remove, now)).To(BeTrue(), "it would be gone for nothing")
		remove.Object = export
		Expect(c.isHeld(remove, now)).To(BeFalse(), "nobody may see it")
	})
	It("is not remembered for each time", func() {
		var c contention
		now := time.Now()
		for range 1000 {
			c.note(step(change.DisableTarget{Target: target}), "", nil, now)
			now = now.Add(time.Second)
		}
		Expect(c.delayed).To(HaveLen(1))
		for _, this := range c.delayed {
			Expect(this.made).To(Equal(1000))
			Expect(len(this.recent)).To(BeNumerically("<=", 61))
		}
	})
	It("is looked for among those of the same volume, backstore or target only", func() {
		var c contention
		for i := range 100 {
			lv := change.LV{VolumeGroup: "vg0", Name: fmt.Sprint("v", i)}
			backstore := change.Backstore{HBA: "iblock_900", Name: lv.Name}
			named := change.Target{Fabric: observe.ISCSI, Name: lv.Name}
			for _, made := range []change.Change{
				change.CreateVolume{LV: lv}, change.SetTags{LV: lv}, change.Activate{LV: lv}, change.RemoveLV{LV: lv},
				change.CreateBackstore{Backstore: backstore}, change.CreateTarget{Target: named}, change.EnableTarget{Target: named},
			} {
				c.note(step(made), "", nil, time.Now())
			}
		}
		for subject, contests := range c.contests {
			Expect(len(contests)).To(BeNumerically("<=", 5), subject)
		}
	})
	It("is not held if nobody can undo it", func() {
		var c contention
		now := time.Now()
		for range 10 {
			c.note(step(change.ResizeLUN{Target: target, LUN: 1}), "", nil, now)
		}
		Expect(c.isHeld(step(change.ResizeLUN{Target: target, LUN: 1}), now)).To(BeFalse())
	})
})

var _ = Describe("Who changed what", func() {
	It("can be asked while more is learned, by a step that takes longer than a pass", func() {
		var s sightings
		events := []watch.Event{{Source: watch.Configfs, Path: "/sys/kernel/config/target/iscsi/a", By: &watch.Process{PID: 7}}}
		var asked sync.WaitGroup
		asked.Go(func() {
			for range 100 {
				s.of(change.EnableTarget{Target: change.Target{Fabric: observe.ISCSI, Name: "a"}}, observe.State{})
			}
		})
		for range 100 {
			s.note(events, time.Now())
		}
		asked.Wait()
	})
})
