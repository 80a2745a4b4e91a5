package plan

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

var _ = It("Anticipate learns of a session after the last one of its target was forgotten", func() {
	id := observe.TargetID{Fabric: observe.NVMe, Name: "nqn.2026-11.io.volreconciler:db"}
	target := change.Target{Fabric: id.Fabric, Name: id.Name}
	known := Exposures{id: {"192.0.2.1": {Live: true}}}
	steps := []Step{
		{Change: change.RemovePortal{Target: target}},
		{Change: change.RemoveInitiator{Target: target, Initiator: "nqn.2014-08.org.example:gone", KeepSessions: []string{"192.0.2.2"}}},
	}
	after := Anticipate(known, Plan{Steps: steps}, NewIndex(observe.State{}, Ownership{}), time.Now())
	Expect(after).To(Equal(Exposures{id: {"192.0.2.2": {Live: true, Leaving: []string{"nqn.2014-08.org.example:gone"}}}}))
	Expect(known).To(Equal(Exposures{id: {"192.0.2.1": {Live: true}}}), "which is not changed")
})
