package plan

import (
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// planDiscovery sets the credentials that initiators need to discover the machine's iSCSI targets.
// They are the whole machine's: the step belongs to the first Export that can be discovered, and
// comes before it. Without such an Export, or without a configuration, nothing is changed.
func (d *differ) planDiscovery() {
	if d.in.Discovery == nil || d.in.Observed.Unknown[observe.LIO] != nil {
		return
	}
	want := *d.in.Discovery
	have := d.in.Observed.LIO.Discovery
	if have.Enforced == want.Needed() && have.Auth == (observe.CHAP{
		Username: want.Username, Password: want.Password,
		MutualUsername: want.MutualUsername, MutualPassword: want.MutualPassword,
	}) {
		return
	}
	for _, name := range sorted(d.in.Declared.Exports) {
		e := d.in.Declared.Exports[name]
		if d.in.fabricOf(e.Spec.Protocol).discovery && !e.Metadata.Suspended() {
			d.step(spec.ID{Kind: spec.KindExport, Name: name}, "set in the agent's configuration", change.SetDiscoveryAuth{Auth: want})
			return
		}
	}
}
