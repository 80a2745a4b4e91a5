package lio

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

var _ = Describe("the attributes of a portal group", func() {
	closed := observe.TPGAttrib{Authentication: true}
	open := observe.TPGAttrib{GenerateNodeACLs: true, CacheDynamicACLs: true, DemoModeDiscovery: true}

	It("are left alone if they are right", func() {
		Expect(attributeWrites(open, open)).To(BeEmpty())
	})

	It("close the group before anything else", func() {
		Expect(attributeWrites(open, closed)).To(HaveExactElements(
			attributeWrite{"authentication", true},
			attributeWrite{"generate_node_acls", false},
			attributeWrite{"cache_dynamic_acls", false},
			attributeWrite{"demo_mode_discovery", false},
		))
	})

	It("open the group after everything else", func() {
		Expect(attributeWrites(closed, open)).To(HaveExactElements(
			attributeWrite{"demo_mode_discovery", true},
			attributeWrite{"cache_dynamic_acls", true},
			attributeWrite{"authentication", false},
			attributeWrite{"generate_node_acls", true},
		))
	})

	It("lead from every state to every other, and on the way to none that is more open than both", func() {
		for _, have := range allAttributes() {
			for _, want := range allAttributes() {
				state := have
				for _, w := range attributeWrites(have, want) {
					state = written(state, w)
					Expect(state.GenerateNodeACLs && !state.Authentication).To(
						Or(BeFalse(), Equal(have.GenerateNodeACLs && !have.Authentication), Equal(want.GenerateNodeACLs && !want.Authentication)),
						"from %+v to %+v by way of %+v", have, want, state)
				}
				Expect(state).To(Equal(want))
			}
		}
	})
})

func allAttributes() []observe.TPGAttrib {
	var all []observe.TPGAttrib
	for bits := range 1 << 6 {
		on := func(bit int) bool { return bits&(1<<bit) != 0 }
		all = append(all, observe.TPGAttrib{
			Authentication: on(0), GenerateNodeACLs: on(1), CacheDynamicACLs: on(2),
			DemoModeWriteProtect: on(3), DemoModeDiscovery: on(4),
			ProdModeWriteProtect: on(5),
		})
	}
	return all
}

// written is what the kernel makes of a write.
func written(a observe.TPGAttrib, w attributeWrite) observe.TPGAttrib {
	switch w.name {
	case "authentication":
		a.Authentication = w.on
	case "generate_node_acls":
		a.GenerateNodeACLs = w.on
	case "cache_dynamic_acls":
		a.CacheDynamicACLs = w.on
	case "demo_mode_write_protect":
		a.DemoModeWriteProtect = w.on
	case "demo_mode_discovery":
		a.DemoModeDiscovery = w.on
	case "prod_mode_write_protect":
		a.ProdModeWriteProtect = w.on
	default:
		Fail("cannot set attribute" + w.name)
	}
	return a
}

var _ = Describe("a target that is to be removed", func() {
	DescribeTable("must be the export's, and idle unless that is forced", func(have observe.Target, wait, force OmegaMatcher) {
		have.Name = "iqn.x:y"
		c := change.RemoveTarget{Target: change.Target{Fabric: observe.ISCSI, Name: have.Name, Export: "db"}}
		Expect(checkRemovable(have, c)).To(wait)
		c.Force = true
		Expect(checkRemovable(have, c)).To(force)
	},
		Entry("ours", observe.Target{HasTPG: true, Mark: "volreconciler:db", Enabled: true}, Succeed(), Succeed()),
		Entry("ours, with a session", observe.Target{HasTPG: true, Mark: "volreconciler:db", Sessions: 1}, MatchError(change.ErrInUse), Succeed()),
		Entry("an empty shell", observe.Target{Sessions: -1}, Succeed(), Succeed()),
		Entry("another's", observe.Target{HasTPG: true, Mark: "volreconciler:web"}, MatchError(change.ErrStale), MatchError(change.ErrStale)),
		Entry("another's besides", observe.Target{HasTPG: true, Mark: "volreconciler:db", OtherTPGs: 1}, MatchError(change.ErrStale), MatchError(change.ErrStale)),
	)

})
