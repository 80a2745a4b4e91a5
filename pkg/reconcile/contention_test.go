package reconcile

import (
	"path/filepath"
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
		loop.clock = func() time.Time { return now }
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
