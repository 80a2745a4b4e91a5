package plan_test

import (
	"fmt"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// handmade returns a node on which somebody made by hand what is declared with adopt: logical volumes
// without tags, and a target with backstores of other names, serials and attributes, to which an
// initiator is connected.
func handmade() *Node {
	n := Movable()
	for _, name := range []string{"data", "thick"} {
		n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Tags = nil })
		v := n.Declared.Volumes[name]
		v.Spec.Adopt, v.Spec.Serial = true, serialByHand(name)
		n.Declared.Volumes[name] = v
	}
	t := n.State.LIO.ISCSI[IQN]
	t.LUNs = maps.Clone(t.LUNs)
	for number, l := range t.LUNs {
		b := n.State.LIO.Backstores[l.Backstore]
		delete(n.State.LIO.Backstores, l.Backstore)
		id, _ := b.Owner()
		b.HBA, b.Name, b.Product, b.Serial, b.Unmap = fmt.Sprintf("iblock_%d", number), "disk-"+id.Name, "disk-"+id.Name, serialByHand(id.Name), false
		n.State.LIO.Backstores[b.Path()] = b
		l.Backstore = b.Path()
		t.LUNs[number] = l
	}
	t.Mark = observe.DefaultAlias
	t.Attrib.DemoModeDiscovery = true
	n.State.LIO.ISCSI[IQN] = t
	n.EditExport(func(e *spec.ExportSpec) { e.Adopt = true })
	n.LogIn()
	n.Input.Known, n.Input.Exposures = nil, nil
	return n
}

func serialByHand(volume string) string { return fmt.Sprintf("%x-by-hand", volume) }

// marksOnly reports whether a plan only sets tags and marks.
func marksOnly(p plan.Plan) bool {
	return !slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		switch s.Change.(type) {
		case change.SetTags, change.AdoptBackstore, change.AdoptTarget:
			return false
		}
		return true
	})
}

var _ = Describe("An Export that adopts its target", func() {
	It("marks it and its backstores, and then there is nothing to do", func() {
		n := handmade()
		p := n.Plan()
		Expect(ChangesIn(p)).To(ContainElements(
			"adopt target "+IQN+" as it is", HavePrefix("adopt backstore iblock_0/disk-data"), HavePrefix("adopt backstore iblock_1/disk-thick")))
		Expect(marksOnly(p)).To(BeTrue(), "%v", ChangesIn(p))
		before := n.State.LIO.ISCSI[IQN]
		n.Apply(p)
		after := n.State.LIO.ISCSI[IQN]
		after.Mark = before.Mark
		Expect(after).To(Equal(before))
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		lv := n.LVs("vg0")["data"]
		Expect(lv.Serial()).To(Equal(serialByHand("data")))
		Expect(lv.Tag(ondisk.TagProduct)).To(Equal("disk-data"))
	})

	It("makes the same disks again after a reboot, by backstores of our own", func() {
		n := handmade()
		n.Apply(n.Plan())
		n.Remember()
		rebooted(n)
		n.Converge()
		for number, name := range map[int]string{0: "data", 1: "thick"} {
			b := n.State.LIO.Backstores[n.State.LIO.ISCSI[IQN].LUNs[number].Backstore]
			Expect(b.Serial).To(Equal(serialByHand(name)))
			Expect(b.Name).To(Equal(ondisk.BackstoreName(VolumeID(name))))
		}
	})

	DescribeTable("does nothing if anything differs, and says what",
		func(differ func(*Node), message string) {
			n := handmade()
			differ(n)
			p := n.Plan()
			Expect(ObjectOf(p, ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonNotOwned), HaveField("Message", ContainSubstring(message))))
			Expect(slices.ContainsFunc(p.Steps, func(s plan.Step) bool { _, sets := s.Change.(change.SetTags); return !sets })).To(BeFalse(), "%v", ChangesIn(p))
		},
		Entry("another serial", func(n *Node) { editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.Serial = "abc" }) }, "has serial abc"),
		Entry("another device", func(n *Node) {
			editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.BlockDevice = "dm-99" })
		}, "is bound to no backstore"),
		Entry("a path to another volume", func(n *Node) {
			editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.Device = "/dev/vg0/thick" })
		}, "has device path /dev/vg0/thick, but is bound to vg0/data"),
		Entry("a path of device-mapper to another volume", func(n *Node) {
			n.State.VolumeGroups["vg0"].LogicalVolumes["a-b"] = observe.LogicalVolume{VolumeGroup: "vg0", Name: "a-b", UUID: "other", Type: observe.Thick, Size: 4 * MiB}
			editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.Device = "/dev/mapper/vg0-a--b" })
		}, "has device path /dev/mapper/vg0-a--b, but is bound to vg0/data"),
		Entry("another number for a LUN", func(n *Node) {
			editTarget(n, func(t *observe.Target) { t.LUNs[3] = t.LUNs[1]; delete(t.LUNs, 1) })
		}, "LUN 1 is"),
		Entry("two volumes of one serial", func(n *Node) {
			for _, path := range []string{"iblock_0/disk-data", "iblock_1/disk-thick"} {
				editBackstore(n, path, func(b *observe.Backstore) { b.Serial = "abc" })
			}
		}, "has serial abc"),
		Entry("read-only", func(n *Node) {
			editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.ReadOnly = true })
		}, "read-only true"),
		Entry("another vendor", func(n *Node) {
			editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.Special = []string{"vendor ACME"} })
		}, "vendor ACME"),
		Entry("a product that no tag can keep", func(n *Node) {
			editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.Product = "a b" })
		}, "which a tag"),
		Entry("an attribute of a backstore", func(n *Node) {
			editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.Attributes = map[string]string{"emulate_caw": "0"} })
		}, "emulate_caw 0, not 1"),
		Entry("an attribute of the target", func(n *Node) {
			editTarget(n, func(t *observe.Target) { t.Attributes = map[string]string{"login_timeout": "9"} })
		}, "login_timeout 9"),
		Entry("a LUN more", func(n *Node) {
			editTarget(n, func(t *observe.Target) { t.LUNs[9] = observe.TargetLUN{Backstore: "fileio_1/x"} })
		}, "LUN 9 (fileio_1/x) is not declared"),
		Entry("LUNs exchanged", func(n *Node) { editTarget(n, func(t *observe.Target) { t.LUNs[0], t.LUNs[1] = t.LUNs[1], t.LUNs[0] }) }, "LUN 0 is"),
		Entry("a portal", func(n *Node) {
			editTarget(n, func(t *observe.Target) { t.Portals = map[string]observe.Transport{"0.0.0.0:3260": observe.TCP} })
		}, "portal [::1]:3261 differs"),
		Entry("disabled", func(n *Node) { editTarget(n, func(t *observe.Target) { t.Enabled = false }) }, "it is disabled"),
		Entry("credentials of the group", func(n *Node) { editTarget(n, func(t *observe.Target) { t.GroupAuth = true }) }, "credentials of its own"),
		Entry("a second group", func(n *Node) { editTarget(n, func(t *observe.Target) { t.OtherTPGs = 1 }) }, "only portal group"),
		Entry("the mark of another Export", func(n *Node) { editTarget(n, func(t *observe.Target) { t.HasTPG, t.Mark = true, "volreconciler:" }) }, "the mark volreconciler:"),
		Entry("open to anybody", func(n *Node) { editTarget(n, func(t *observe.Target) { t.Attrib.GenerateNodeACLs = true }) }, "generate_node_acls"),
		Entry("an initiator more", func(n *Node) { editTarget(n, func(t *observe.Target) { t.ACLs["iqn.2001-01.x:y"] = observe.ACL{} }) }, "iqn.2001-01.x:y is not declared"),
		Entry("an initiator less", func(n *Node) { editTarget(n, func(t *observe.Target) { delete(t.ACLs, Initiator) }) }, "has no ACL"),
		Entry("another password", func(n *Node) {
			n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.Auth.Password = spec.NewSecret("another-one") })
		}, "another authentication"),
		Entry("a mapping less", func(n *Node) { n.EditACL(IQN, Initiator, func(a *observe.ACL) { delete(a.LUNs, 1) }) }, "mapping of LUN 1"),
		Entry("a mapping to another LUN", func(n *Node) {
			n.EditACL(IQN, Initiator, func(a *observe.ACL) { m := a.LUNs[1]; m.LUN = 0; a.LUNs[1] = m })
		}, "sees LUN 0 under the number 1"),
		Entry("write protection", func(n *Node) {
			n.EditACL(IQN, Initiator, func(a *observe.ACL) { m := a.LUNs[1]; m.WriteProtect = true; a.LUNs[1] = m })
		}, "write protection of LUN 1"),
		Entry("an unlisted session", func(n *Node) {
			editTarget(n, func(t *observe.Target) { t.DynamicSessions = []string{"iqn.2001-01.x:y"} })
		}, "connected that have no ACL"),
	)

	It("does not give a logical volume another serial than initiators see by somebody else's backstore", func() {
		n := handmade()
		v := n.Declared.Volumes["data"]
		v.Spec.Serial = "abcdef"
		n.Declared.Volumes["data"] = v
		p := n.Plan()
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonImmutableField))
		Expect(ChangesIn(p)).NotTo(ContainElement(ContainSubstring("abcdef")))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
	})

	It("removes target and backstores like its own when nobody declares them", func() {
		n := handmade()
		n.Apply(n.Plan())
		n.Remember()
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.Declared.Exports = nil
		n.Settle()
		Expect(n.State.LIO.ISCSI).To(BeEmpty())
		Expect(n.State.LIO.Backstores).To(BeEmpty())
	})

	It("does nothing without adopt: true", func() {
		n := handmade()
		n.EditExport(func(e *spec.ExportSpec) { e.Adopt = false })
		p := n.Plan()
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
		Expect(ChangesIn(p)).NotTo(ContainElement(ContainSubstring("adopt")))
	})

	It("adopts backstores again that targetcli restored without their marks", func() {
		n := handmade()
		n.Apply(n.Plan())
		for path, b := range n.State.LIO.Backstores {
			b.Mark = ""
			n.State.LIO.Backstores[path] = b
		}
		p := n.Plan()
		Expect(p.Steps).To(HaveLen(2))
		Expect(marksOnly(p)).To(BeTrue(), "%v", ChangesIn(p))
		n.Apply(p)
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
	})

	Context("that targetcli restored as it was before", func() {
		const dismissed = "iqn.2001-01.x:dismissed"
		restored := func() *Node {
			n := handmade()
			editTarget(n, func(t *observe.Target) {
				t.ACLs = maps.Clone(t.ACLs)
				t.ACLs[dismissed] = observe.ACL{LUNs: map[int]observe.MappedLUN{0: {LUN: 0}}}
			})
			before := n.State.LIO.ISCSI[IQN]
			backstores := maps.Clone(n.State.LIO.Backstores)
			editTarget(n, func(t *observe.Target) { t.ACLs = maps.Clone(t.ACLs); delete(t.ACLs, dismissed) })
			Expect(marksOnly(n.Plan())).To(BeTrue())
			n.Apply(n.Plan())
			n.Input.Known = plan.Learn(map[spec.ID]plan.Identity{}, n.Declared, n.State, plan.NewIndex(n.State, n.Input.Ownership()), n.Input.Now)
			n.State.LIO.ISCSI[IQN], n.State.LIO.Backstores = before, backstores
			return n
		}

		It("dismisses whoever was dismissed since, and shows the same", func() {
			n := restored()
			luns := n.State.LIO.ISCSI[IQN].LUNs
			p := n.Plan()
			Expect(marksOnly(p)).To(BeTrue(), "%v", ChangesIn(p))
			n.Apply(p)
			n.Converge()
			Expect(n.State.LIO.ISCSI[IQN].ACLs).NotTo(HaveKey(dismissed))
			Expect(n.State.LIO.ISCSI[IQN].LUNs).To(Equal(luns))
			Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		})

		It("replaces a password of then", func() {
			n := restored()
			n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.Auth.Password = spec.NewSecret("another-one") })
			n.Converge()
			Expect(n.State.LIO.ISCSI[IQN].ACLs[Initiator].Auth.Password.Reveal()).To(Equal("secretsecret"))
		})

		DescribeTable("gets what was declared since, or could not be restored",
			func(differ func(*Node)) {
				n := restored()
				differ(n)
				p := n.Plan()
				Expect(marksOnly(p)).To(BeTrue(), "%v", ChangesIn(p))
				Expect(ChangesIn(p)).To(ContainElement("adopt target " + IQN + " as it is"))
				n.Apply(p)
				n.Converge()
				Expect(ChangesIn(n.Plan())).To(BeEmpty())
				Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
				t := n.State.LIO.ISCSI[IQN]
				Expect(slices.Sorted(maps.Keys(t.LUNs))).To(Equal([]int{0, 1}))
				Expect(t.ACLs).NotTo(HaveKey(dismissed))
				Expect(t.ACLs[Initiator].LUNs).To(HaveLen(2))
			},
			Entry("a LUN, whose volume was inactive then", func(n *Node) {
				n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Open = false })
				delete(n.State.LIO.Backstores, n.State.LIO.ISCSI[IQN].LUNs[1].Backstore)
				editTarget(n, func(t *observe.Target) { t.LUNs = maps.Clone(t.LUNs); delete(t.LUNs, 1) })
				for _, name := range slices.Sorted(maps.Keys(n.State.LIO.ISCSI[IQN].ACLs)) {
					n.EditACL(IQN, name, func(a *observe.ACL) { a.LUNs = maps.Clone(a.LUNs); delete(a.LUNs, 1) })
				}
			}),
			Entry("all LUNs", func(n *Node) {
				for _, lv := range []string{"vg0/data", "vg0/thick"} {
					n.Edit(lv, func(lv *observe.LogicalVolume) { lv.Open = false })
				}
				n.State.LIO.Backstores = map[string]observe.Backstore{}
				editTarget(n, func(t *observe.Target) { t.LUNs = map[int]observe.TargetLUN{} })
				for _, name := range slices.Sorted(maps.Keys(n.State.LIO.ISCSI[IQN].ACLs)) {
					n.EditACL(IQN, name, func(a *observe.ACL) { a.LUNs = map[int]observe.MappedLUN{} })
				}
			}),
			Entry("an initiator", func(n *Node) { editTarget(n, func(t *observe.Target) { delete(t.ACLs, Initiator) }) }),
			Entry("a mapping", func(n *Node) {
				n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LUNs = maps.Clone(a.LUNs); delete(a.LUNs, 1) })
			}),
			Entry("write access", func(n *Node) {
				n.EditACL(IQN, Initiator, func(a *observe.ACL) {
					a.LUNs = maps.Clone(a.LUNs)
					a.LUNs[1] = observe.MappedLUN{LUN: 1, WriteProtect: true}
				})
			}),
			Entry("a portal", func(n *Node) {
				editTarget(n, func(t *observe.Target) { t.Portals = map[string]observe.Transport{"0.0.0.0:3260": observe.TCP} })
			}),
			Entry("authentication", func(n *Node) { editTarget(n, func(t *observe.Target) { t.Attrib.Authentication = false }) }),
			Entry("an end to access for anybody", func(n *Node) { editTarget(n, func(t *observe.Target) { t.Attrib.GenerateNodeACLs = true }) }),
			Entry("an attribute", func(n *Node) {
				editTarget(n, func(t *observe.Target) { t.Attributes = map[string]string{"login_timeout": "9"} })
			}),
		)

		DescribeTable("shows nothing else for that",
			func(differ func(*Node)) {
				n := restored()
				differ(n)
				luns := n.State.LIO.ISCSI[IQN]
				p := n.Plan()
				Expect(ObjectOf(p, ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonNotOwned),
					HaveField("Message", MatchRegexp("not declared.*"+dismissed+"|"+dismissed+" is not declared"))))
				n.Apply(p)
				Expect(n.State.LIO.ISCSI[IQN]).To(Equal(luns))
			},
			Entry("LUNs exchanged", func(n *Node) {
				editTarget(n, func(t *observe.Target) {
					t.LUNs = maps.Clone(t.LUNs)
					t.LUNs[0], t.LUNs[1] = t.LUNs[1], t.LUNs[0]
				})
			}),
			Entry("another logical volume behind a LUN", func(n *Node) {
				editBackstore(n, "iblock_0/disk-data", func(b *observe.Backstore) { b.BlockDevice = "dm-99" })
			}),
			Entry("another number", func(n *Node) {
				n.EditACL(IQN, Initiator, func(a *observe.ACL) { m := a.LUNs[1]; m.LUN = 0; a.LUNs[1] = m })
			}),
			Entry("a LUN more", func(n *Node) {
				editTarget(n, func(t *observe.Target) {
					t.LUNs = maps.Clone(t.LUNs)
					t.LUNs[9] = observe.TargetLUN{Backstore: "fileio_1/x"}
				})
			}),
			Entry("another target name in the spec", func(n *Node) {
				n.Input.Known[ExportID("db")] = plan.Identity{Adopted: IQN + "-other", Declared: true}
			}),
		)
	})

	It("closes a group that asks for no password before an initiator with one is added", func() {
		n := handmade()
		editTarget(n, func(t *observe.Target) { t.Attrib.Authentication = false })
		n.Apply(n.Plan())
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
		n.EditExport(func(e *spec.ExportSpec) {
			e.Initiators = append(e.Initiators, spec.Initiator{Name: "iqn.2001-01.x:new", Auth: &spec.Auth{CHAP: &spec.Credentials{Username: "n", Password: spec.NewSecret("a-new-secret")}}})
		})
		changes := ChangesIn(n.Plan())
		Expect(slices.Index(changes, "set target "+IQN+" to admit listed initiators only")).To(And(
			BeNumerically(">=", 0), BeNumerically("<", slices.IndexFunc(changes, func(c string) bool { return c == "admit initiator iqn.2001-01.x:new to "+IQN+", CHAP" }))))
	})
})

func editBackstore(n *Node, path string, f func(*observe.Backstore)) {
	b, there := n.State.LIO.Backstores[path]
	Expect(there).To(BeTrue(), path)
	f(&b)
	n.State.LIO.Backstores[path] = b
}

func editTarget(n *Node, f func(*observe.Target)) {
	t := n.State.LIO.ISCSI[IQN]
	f(&t)
	n.State.LIO.ISCSI[IQN] = t
}
