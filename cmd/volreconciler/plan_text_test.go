package main

import (
	"errors"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const gib = 1 << 30

// aPlan has a bit of everything.
func aPlan() plan.Plan {
	db, old := spec.ID{Kind: spec.KindVolume, Name: "db"}, spec.ID{Kind: spec.KindVolume, Name: "old"}
	web := spec.ID{Kind: spec.KindExport, Name: "web"}
	target := change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-11.io.volreconciler:web", Export: "web"}
	backstore := change.Backstore{HBA: "iblock_900", Name: "volreconciler:volume:db"}
	step := func(id plan.StepID, object spec.ID, c change.Change, why string) plan.Step {
		return plan.Step{ID: id, Object: object, Change: c, Why: why, Danger: plan.Harmless}
	}
	unlink := step(3, web, change.RemoveLUN{Target: target, LUN: 3}, "not in the spec")
	unlink.Danger, unlink.Affects = plan.Disruptive, []string{"iqn.1993-08.org.debian:01:abc"}
	remove := step(4, old, change.RemoveLV{LV: change.LV{VolumeGroup: "vg0", Name: "old"}}, "no file names it")
	remove.Danger = plan.Destructive
	return plan.Plan{
		Steps: []plan.Step{
			step(1, db, change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: "db"}, ThinPool: "fast", Size: 20 * gib}, "not there"),
			step(2, db, change.CreateBackstore{Backstore: backstore, Device: "/dev/vg0/db"}, "not there"),
			unlink, remove,
		},
		Objects: []status.Object{
			{Kind: spec.KindPool, Name: "fast", Phase: status.Ready, Pool: &status.Pool{
				VolumeGroup: "vg0", ThinPool: "fast", Size: 100 * gib, Free: 60 * gib, Provisioned: 120 * gib, ProvisionedAfter: 140 * gib,
			}},
			{Kind: spec.KindVolume, Name: "db", Phase: status.Progressing},
			{Kind: spec.KindVolume, Name: "old", Phase: status.Deleting},
			{Kind: spec.KindVolume, Name: "small", Phase: status.Blocked, Reason: status.ReasonShrinkRefused, Message: "spec.size: no\nreally"},
			{Kind: spec.KindVolume, Name: "kept", Phase: status.Orphaned},
			{Kind: spec.KindExport, Name: "web", Phase: status.Blocked, Reason: status.ReasonNotReady, Message: "waits for Volume/small"},
		},
	}
}

var _ = Describe("The text of a plan", func() {
	It("warns before the sum, and counts more warnings than a few", func() {
		made := aPlan()
		for _, name := range []string{"a", "b"} {
			made.Warnings = append(made.Warnings, plan.Warning{Object: spec.ID{Kind: spec.KindExport, Name: name}, Message: "by their positions"})
		}
		Expect(planText(made, painter{})).To(ContainSubstring("\nwarning: Export/a: by their positions.\n\nwarning: Export/b: by their positions.\n\nPlan: "))
		for range 40 {
			made.Warnings = append(made.Warnings, made.Warnings[0])
		}
		text := planText(made, painter{})
		Expect(text).To(ContainSubstring("\nwarning: 39 objects more have the same warning; use -o json to list all.\n\nPlan: "))
		Expect(strings.Count(text, "warning:")).To(Equal(4))
	})
	It("shows the steps of each object, what stands in its way, and the sum", func() {
		Expect(planText(aPlan(), painter{})).To(Equal(`+ Volume/db
    + create thin volume vg0/db, 20Gi, in fast (not there)
    + create backstore iblock_900/volreconciler:volume:db on /dev/vg0/db (not there)

- Volume/old
    - remove vg0/old and the data in it (no file names it) DESTRUCTIVE

! Volume/small Blocked (ShrinkRefused): spec.size: no; really

~ Export/web
    - remove LUN 3 from iqn.2026-11.io.volreconciler:web (not in the spec) DISRUPTIVE
      hits iqn.1993-08.org.debian:01:abc
    ! Blocked (DependencyNotReady): waits for Volume/small

Thin pool vg0/fast has 100Gi, 60Gi of it free; provisioned: 120Gi (120%) now, 140Gi (140%) after.

Plan: 1 to create, 1 to change, 1 to remove; 1 step destroys data, 2 objects are blocked, 1 object is orphaned.
`))
	})

	It("says why nothing is done about what no file has ever named", func() {
		p := plan.Plan{Objects: []status.Object{
			{Kind: spec.KindVolume, Name: "theirs", Phase: status.Orphaned, Reason: status.ReasonNotDeclared, Message: "left alone"},
			{Kind: spec.KindVolume, Name: "kept", Phase: status.Orphaned, Reason: status.ReasonRetained, Message: "stays"},
		}}
		Expect(planText(p, painter{})).To(Equal("! Volume/theirs Orphaned (NotDeclared): left alone\n\nPlan: nothing to do; 2 objects are orphaned.\n"))
	})

	It("has no escape sequence unless it is for a terminal", func() {
		Expect(planText(aPlan(), painter{})).NotTo(ContainSubstring("\x1b"))
		coloured := planText(aPlan(), painter{colours: true})
		Expect(coloured).To(ContainSubstring("\x1b[32m+\x1b[0m \x1b[1mVolume/db\x1b[0m\n"))
	})

	It("says that there is nothing to do", func() {
		ready := plan.Plan{Objects: []status.Object{{Kind: spec.KindVolume, Name: "db", Phase: status.Ready}}}
		Expect(planText(ready, painter{})).To(Equal("Plan: nothing to do.\n"))
		Expect(planText(plan.Plan{}, painter{})).To(Equal("No object is declared, and none on this node belongs to volreconciler.\n"))
	})

	It("counts what stands for an object, and not what helps to copy it or comes in its place", func() {
		db, lv := spec.ID{Kind: spec.KindVolume, Name: "db"}, change.LV{VolumeGroup: "vg0", Name: "db"}
		sum := func(changes ...change.Change) string {
			p := plan.Plan{Objects: []status.Object{{Kind: spec.KindVolume, Name: "db", Phase: status.Progressing}}}
			for i, c := range changes {
				p.Steps = append(p.Steps, plan.Step{ID: plan.StepID(i + 1), Object: db, Change: c, Danger: plan.Harmless})
			}
			return planText(p, painter{})
		}
		owner, staged := ondisk.OwnerTags(db), ondisk.PhaseTag(ondisk.Staged)
		Expect(sum(change.CloneVolume{LV: lv, Tags: owner})).To(HaveSuffix("Plan: 1 to create, 0 to change, 0 to remove.\n"))
		Expect(sum(change.RemoveLV{LV: lv, Tags: owner})).To(HaveSuffix("Plan: 0 to create, 0 to change, 1 to remove.\n"))
		Expect(sum(change.StartClearing{LV: lv, Tags: owner})).To(And(ContainSubstring("    - "), HaveSuffix("Plan: 0 to create, 0 to change, 1 to remove.\n")))
		Expect(sum(change.StartClearing{LV: lv, Tags: append(slices.Clone(owner), staged)})).To(HaveSuffix("Plan: 0 to create, 1 to change, 0 to remove.\n"))
		Expect(sum(
			change.CloneVolume{LV: lv, Tags: append(owner, staged)}, change.CreateVolume{LV: lv, Tags: append(owner, staged)},
			change.CreateSnapshot{LV: lv, Tags: ondisk.MoveTags("db")}, change.RemoveLV{LV: lv, Tags: ondisk.SourceTags(db)},
			change.RemoveLV{LV: lv, Tags: append(owner, ondisk.TagReplacedBy+"x")}, change.RemoveLV{LV: lv, Tags: append(owner, staged)},
		)).To(HaveSuffix("Plan: 0 to create, 1 to change, 0 to remove.\n"))
	})

	It("says that the data is kept when it removes what served it", func() {
		old := spec.ID{Kind: spec.KindVolume, Name: "old"}
		backstore := change.RemoveBackstore{Backstore: change.Backstore{HBA: "iblock_900", Name: "volreconciler:volume:old"}}
		Expect(planText(plan.Plan{
			Steps:   []plan.Step{{ID: 1, Object: old, Change: backstore, Why: "no Export uses it", Danger: plan.Harmless}},
			Objects: []status.Object{{Kind: spec.KindVolume, Name: "old", Phase: status.Orphaned, Reason: status.ReasonRetained, Message: "vg0/old is kept"}},
		}, painter{})).To(Equal(`~ Volume/old
    - remove backstore iblock_900/volreconciler:volume:old (no Export uses it)
    ! Orphaned (Retained): vg0/old is kept

Plan: 0 to create, 1 to change, 0 to remove; 1 object is orphaned.
`))
	})

	It("shows what goes into the trash as removed, and how much is there", func() {
		old := spec.ID{Kind: spec.KindVolume, Name: "old"}
		lv := change.LV{VolumeGroup: "vg0", Name: "old"}
		plan := plan.Plan{
			Steps: []plan.Step{
				{ID: 1, Object: old, Change: change.SetTags{LV: lv, Add: []string{"volreconciler/deleted=20261122T120000Z"}}, Why: "no file names it", Danger: plan.Disruptive},
				{ID: 2, Object: old, Change: change.Deactivate{LV: lv}, Why: "in the trash", Danger: plan.Harmless},
			},
			Objects: []status.Object{
				{Kind: spec.KindVolume, Name: "old", Phase: status.Deleting, Reason: status.ReasonRemoving},
				{Kind: spec.KindVolume, Name: "older", Phase: status.Deleting, Reason: status.ReasonInTrash},
				{Kind: spec.KindVolume, Name: "kept", Phase: status.Orphaned},
			},
		}
		Expect(planText(plan, painter{})).To(Equal(`- Volume/old
    - set tags of vg0/old: +volreconciler/deleted=20261122T120000Z (no file names it) DISRUPTIVE
    ~ deactivate vg0/old (in the trash)

Plan: 0 to create, 0 to change, 1 to remove; 1 object in the trash, 1 object is orphaned.
`))
	})

	It("is stable as JSON", func() {
		var out strings.Builder
		Expect(writePlan(&out, aPlan(), "json")).To(Succeed())
		Expect(out.String()).To(HavePrefix(`{
  "apiVersion": "volreconciler/v1alpha1",
  "kind": "Plan",
  "complete": true,
  "findings": [],
  "steps": [
    {
      "id": 1,
      "object": {
        "kind": "Volume",
        "name": "db"
      },
      "type": "CreateVolume",
`))
	})
})

var _ = DescribeTable("The exit status of plan",
	func(plan plan.Plan, unknown map[observe.System]error, expected any) {
		err := planExit(plan, observe.State{Unknown: unknown})
		if expected == nil {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		//nolint:ginkgolinter // entries give an error or a matcher, as MatchError takes them
		Expect(err).To(MatchError(expected))
	},
	Entry("0 if there is nothing to do", plan.Plan{}, nil, nil),
	Entry("2 if there are changes", aPlan(), nil, exitChanges),
	Entry("2 if there are changes beside what is blocked", plan.Plan{Steps: aPlan().Steps, Objects: []status.Object{{Phase: status.Blocked}}}, nil, exitChanges),
	Entry("3 if there is nothing to do, and an object is blocked", plan.Plan{Objects: []status.Object{{Phase: status.Ready}, {Phase: status.Blocked}}}, nil, exitStuck),
	Entry("3 if there is nothing to do, and an object has failed", plan.Plan{Objects: []status.Object{{Phase: status.Failed}}}, nil, exitStuck),
	Entry("0 if the rest only waits or is kept", plan.Plan{Objects: []status.Object{{Phase: status.Ready}, {Phase: status.Deleting}, {Phase: status.Orphaned}, {Phase: status.Foreign}, {Phase: status.Suspended}}}, nil, nil),
	Entry("1 if there are findings", plan.Plan{Steps: aPlan().Steps, Findings: []spec.Finding{{File: "a.yaml", Err: errors.New("no")}}}, nil,
		"1 finding in the spec files; nothing is removed until all are fixed"),
	Entry("1 if something could not be read", aPlan(), map[observe.System]error{observe.LVM: errors.New("exit status 5")},
		"cannot read all of the node, so the plan is incomplete: lvm: exit status 5"),
)

var _ = DescribeTable("How many objects are in a phase is said in English",
	func(n int, phase status.Phase, what string) { Expect(isOrAre(n, phase)).To(Equal(what)) },
	Entry(nil, 1, status.Blocked, "is blocked"),
	Entry(nil, 2, status.Blocked, "are blocked"),
	Entry(nil, 1, status.Failed, "has failed"),
	Entry(nil, 2, status.Failed, "have failed"),
)
