package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and discovery", func() {
	want := change.Auth{Username: "d", Password: spec.NewSecret("secretsecret1")}
	is := observe.DiscoveryAuth{Enforced: true, Auth: observe.CHAP{Username: "d", Password: want.Password}}

	It("leaves it as it is where nothing is configured", func() {
		n := Converged()
		n.State.LIO.Discovery = is
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
	})

	It("makes it what is configured, and follows a new password", func() {
		n := Converged()
		n.Input.Discovery = &want
		Expect(ChangesIn(n.Plan())).To(HaveExactElements("set authentication of iSCSI discovery: CHAP"))
		n.State.LIO.Discovery = is
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
		rotated := change.Auth{Username: "d", Password: spec.NewSecret("secretsecret2")}
		n.Input.Discovery = &rotated
		Expect(ChangesIn(n.Plan())).To(HaveLen(1))
		n.Input.Discovery = &change.Auth{}
		Expect(ChangesIn(n.Plan())).To(HaveExactElements("set authentication of iSCSI discovery: no authentication"))
	})

	It("does nothing where there is nothing to discover", func() {
		n := Converged()
		n.Declared.Exports = nil
		n.Converge()
		n.Input.Discovery = &want
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
	})
})
