package change

import "github.com/volreconciler/volreconciler/pkg/observe"

// SetDiscoveryAuth changes what initiators need to discover the machine's iSCSI
// targets, all of them. Sessions are not concerned.
type SetDiscoveryAuth struct {
	// Auth is empty if anybody may discover targets.
	Auth Auth `json:"auth"`
}

func (SetDiscoveryAuth) sealed() {}

// Lane is discovery itself.
func (SetDiscoveryAuth) Lane() string { return "discovery" }

// Part is everything: it is changed too rarely for more.
func (SetDiscoveryAuth) Part() observe.Part { return observe.Everything }

// System is LIO.
func (SetDiscoveryAuth) System() observe.System { return observe.LIO }

func (c SetDiscoveryAuth) String() string {
	return "set authentication of iSCSI discovery: " + c.Auth.String()
}
