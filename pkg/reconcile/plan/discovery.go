package plan

import (
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// discovery sees to what initiators need to be told of the machine's iSCSI targets.
// It is the whole machine's, so it is done on behalf of the first Export that is
// served so, before that one; without any there is nothing to be told. What is not
// configured stays as it is.
func (d *differ) discovery() {
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
	for _, name := range sorted(d.in.Desired.Exports) {
		e := d.in.Desired.Exports[name]
		if d.in.fabricOf(e.Spec.Protocol).discovery && !e.Metadata.Suspended() {
			d.step(spec.ID{Kind: spec.KindExport, Name: name}, "set in the agent's configuration", change.SetDiscoveryAuth{Auth: want})
			return
		}
	}
}
