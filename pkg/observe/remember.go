package observe

import "strings"

// Part is a part of the machine that may have changed: [AllOfLVM], [AllOfConfigFS], or a path below
// [ConfigFS].
type Part string

// The parts that are not a path in configfs.
const (
	Everything Part = ""
	AllOfLVM   Part = "lvm"
	// AllOfConfigFS is LIO and nvmet.
	AllOfConfigFS Part = ConfigFS
)

// Part is the directory of a target; of one that may be served by several drivers it is all of
// configfs. tgtd's are read each time.
func (t TargetID) Part() Part {
	switch t.Fabric {
	case ISCSI:
		return Part(ISCSITarget(t.Name).Path)
	case NVMe:
		return Part(SubsystemDir(t.Name))
	default:
		return AllOfConfigFS
	}
}

// Remember makes the Observer remember what it reads of LVM, LIO and nvmet from now on, and read only
// what [Observer.Forget] says has changed. What nobody announces, sessions above all, is as old as
// that. tgtd and files are read each time.
func (o *Observer) Remember() {
	o.cache.switchOn()
	o.lvm.switchOn()
}

// Forget makes the next [Observer.Observe] read parts of the machine again.
func (o *Observer) Forget(parts ...Part) {
	for _, p := range parts {
		switch p {
		case AllOfLVM:
			o.lvm.forget()
		case Everything, AllOfConfigFS: // which holds devices open
			o.cache.forgetAll()
			o.lvm.forget()
		default:
			if !strings.HasPrefix(string(p), ConfigFS+"/") {
				continue // it is read each time
			}
			o.cache.forget(string(p))
			if opensDevices(string(p)) {
				o.lvm.forget()
			}
		}
	}
}

// opensDevices reports whether what is at a path in configfs holds devices open, or those of what is
// above it do. LVM's report says of each device whether it is open.
func opensDevices(p string) bool {
	for _, dir := range []string{BackstoresDir, SubsystemsDir} {
		if strings.HasPrefix(p, dir+"/") || strings.HasPrefix(dir, p) {
			return true
		}
	}
	return false
}

// Audit makes the next [Observer.Observe] read everything again, and compare that with what was
// remembered.
func (o *Observer) Audit() {
	o.cache.audit()
	o.lvm.audit()
}

// EndAudit ends an audit, after its Observe. It reports whether something seems to have changed
// that nobody had said.
func (o *Observer) EndAudit() bool {
	configfs, lvm := o.cache.endAudit(), o.lvm.endAudit()
	return configfs || lvm
}

// Missed returns what audits found changed though nobody had said so, since the last call. Call it
// a moment after the audit, with the parts that events have named meanwhile: these do not count.
func (o *Observer) Missed(said ...Part) []string {
	var configfs []Part
	lvmSaid := false
	for _, p := range said {
		if p == Everything || p == AllOfLVM {
			lvmSaid = true
		}
		if p != AllOfLVM {
			configfs = append(configfs, p)
		}
	}
	missed := o.cache.takeMissed(configfs)
	if o.lvm.takeMissed() && !lvmSaid {
		missed = append(missed, "LVM")
	}
	return missed
}
