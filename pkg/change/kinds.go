package change

// Kinds returns one empty change of every kind, in the order of the documentation. What
// has to know all kinds is checked against it: the documentation, the actuators and the
// model machine of the specs of package reconcile.
func Kinds() []Change {
	return []Change{
		CreateThinPool{}, GrowThinPool{}, CreateVolume{}, GrowVolume{}, CreateSnapshot{}, GrowSnapshot{},
		SetTags{}, Rename{}, Activate{}, Deactivate{}, RemoveLV{},
		CloneVolume{}, Populate{}, Restore{}, StartClearing{}, SplitSnapshot{}, Clear{}, WriteImage{}, Stage{}, Cutover{},
		InitRepository{}, BackUp{}, ForgetBackups{}, PruneRepository{}, CheckRepository{},
		CreateBackstore{}, AdoptBackstore{}, SetUnmap{}, SetBackstoreAttribute{}, RemoveBackstore{},
		SetDiscoveryAuth{}, SetParameter{},
		CreateTarget{}, AdoptTarget{}, MoveMark{}, SetAttributes{}, AddPortal{}, RemovePortal{},
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

// Subject is the logical volume, backstore or target that a change is made to, or its lane.
func Subject(c Change) string {
	if lv, is := c.(interface{ fullName() string }); is {
		return lv.fullName()
	}
	return c.Lane()
}

// Undoes reports whether a change takes away again what another one has made. Both have the same
// [Subject] then.
func Undoes(c, made Change) bool {
	if Subject(c) != Subject(made) {
		return false
	}
	switch c := c.(type) {
	case RemoveTarget:
		return !KeepsOut(made)
	case RemoveBackstore:
		_, same := made.(RemoveBackstore)
		return !same
	case DisableTarget:
		_, is := made.(EnableTarget)
		return is
	case RemovePortal:
		add, is := made.(AddPortal)
		return is && add.Portal == c.Portal
	case RemoveLUN:
		switch made := made.(type) {
		case AddLUN:
			return made.LUN == c.LUN
		case MapLUN:
			return made.LUN == c.LUN
		}
	case RemoveLV:
		_, is := made.(CreateSnapshot)
		return is
	}
	return false
}
