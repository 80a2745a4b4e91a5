package change

// Kinds returns one empty change of every kind, in the order of the documentation. What
// has to know all kinds is checked against it: the documentation, the actuators and the
// model machine of the specs of package reconcile.
func Kinds() []Change {
	return []Change{
		CreateThinPool{}, GrowThinPool{}, CreateVolume{}, GrowVolume{}, CreateSnapshot{}, GrowSnapshot{},
		SetTags{}, Rename{}, Activate{}, Deactivate{}, RemoveLV{},
		CloneVolume{}, Populate{}, Restore{}, StartClearing{}, SplitSnapshot{}, Clear{}, WriteImage{}, Stage{}, Cutover{},
		CreateBackstore{}, SetUnmap{}, SetBackstoreAttribute{}, RemoveBackstore{},
		SetDiscoveryAuth{}, SetParameter{},
		CreateTarget{}, MoveMark{}, SetAttributes{}, AddPortal{}, RemovePortal{},
		AddLUN{}, RemoveLUN{}, ResizeLUN{}, AddInitiator{}, SetAuth{}, RemoveInitiator{},
		MapLUN{}, UnmapLUN{}, SetWriteProtect{}, SetAccounts{}, EnableTarget{}, DisableTarget{}, RemoveTarget{},
	}
}

// KeepsOut reports whether a change takes something away from initiators, who may have gained it
// without permission.
func KeepsOut(c Change) bool {
	switch c.(type) {
	case SetAttributes, SetAuth, SetAccounts, SetWriteProtect, SetDiscoveryAuth, RemoveInitiator, UnmapLUN, RemoveLUN, RemovePortal, DisableTarget, RemoveTarget:
		return true
	}
	return false
}
