package reconcile

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and discovery", func() {
	want := change.Auth{Username: "d", Password: spec.NewSecret("secretsecret1")}
	is := observe.DiscoveryAuth{Enforced: true, Auth: observe.CHAP{Username: "d", Password: want.Password}}

	It("leaves it as it is where nothing is configured", func() {
		n := converged()
		n.state.LIO.Discovery = is
		Expect(changesIn(n.plan())).To(BeEmpty())
	})

	It("makes it what is configured, and follows a new password", func() {
		n := converged()
		n.input.Discovery = &want
		Expect(changesIn(n.plan())).To(HaveExactElements("set authentication of iSCSI discovery: CHAP"))
		n.state.LIO.Discovery = is
		Expect(changesIn(n.plan())).To(BeEmpty())
		rotated := change.Auth{Username: "d", Password: spec.NewSecret("secretsecret2")}
		n.input.Discovery = &rotated
		Expect(changesIn(n.plan())).To(HaveLen(1))
		n.input.Discovery = &change.Auth{}
		Expect(changesIn(n.plan())).To(HaveExactElements("set authentication of iSCSI discovery: no authentication"))
	})

	It("does nothing where there is nothing to discover", func() {
		n := converged()
		n.desired.Exports = nil
		n.converge()
		n.input.Discovery = &want
		Expect(changesIn(n.plan())).To(BeEmpty())
	})
})
