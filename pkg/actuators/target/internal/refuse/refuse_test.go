package refuse

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

func TestRefuse(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "what actuators of targets refuse")
}

var _ = Describe("a target", func() {
	It("is idle without sessions", func() {
		Expect(InUse(observe.Target{ACLs: map[string]observe.ACL{"iqn.a:b": {}}})).To(Succeed())
		Expect(InUse(observe.Target{Sessions: -1})).To(Succeed())
	})

	It("is in use by all who are logged in, each named once", func() {
		err := InUse(observe.Target{
			Fabric: observe.ISCSI, Name: "iqn.x:y",
			ACLs:            map[string]observe.ACL{"iqn.c:d": {LoggedIn: true}, "iqn.a:b": {LoggedIn: true}, "iqn.e:f": {}},
			DynamicSessions: []string{"iqn.g:h", "iqn.g:h"},
			Sessions:        4,
		})
		Expect(err).To(MatchError(change.ErrInUse))
		Expect(err).To(MatchError("in use: iqn.x:y has sessions of iqn.a:b, iqn.c:d, iqn.g:h"))
	})

	It("is in use by sessions that nobody names", func() {
		Expect(InUse(observe.Target{Fabric: observe.ISCSI, Name: "iqn.x:y", Sessions: 2})).To(MatchError(change.ErrInUse))
	})
})
