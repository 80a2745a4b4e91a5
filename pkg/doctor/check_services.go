package doctor

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Units of systemd that change targets. Those of rtslib and nvmetcli restore a file when they start and
// remove every target when they stop; on Debian 12 an upgrade of python3-rtslib-fb restarts its unit.
const (
	unitRTSLib = "rtslib-fb-targetctl.service"
	unitTarget = "target.service"
	unitNVMet  = "nvmet.service"
	unitTGT    = "tgt.service"
)

// restorers are the units that restore a file.
func restorers(file string) []string {
	switch file {
	case nvmetSaved:
		return []string{unitNVMet}
	case rtslibSaved:
		return []string{unitRTSLib}
	default:
		return []string{unitTarget}
	}
}

// servedByLIO reports whether the kernel's SCSI target serves anything that is declared.
func (f Facts) servedByLIO(n needs) bool {
	return n.exports(spec.ProtocolISER, spec.ProtocolFC) || n.exports(spec.ProtocolISCSI) && !f.TGT
}

func checkRestore(f Facts) []Finding {
	n := needsOf(f.Set)
	var all []Finding
	for _, unit := range []string{unitRTSLib, unitTarget, unitNVMet} {
		nvme := unit == unitNVMet
		if !f.Services[unit].Enabled || nvme && !n.exports(spec.ProtocolNVMeTCP, spec.ProtocolNVMeRDMA) || !nvme && !f.servedByLIO(n) {
			continue
		}
		all = append(all, Finding{
			Severity: Warning, Subject: unit, Text: "the service is enabled; it removes every target of the kernel, also the agent's, when it is stopped or restarted",
			Consequence: "initiators lose their sessions, for example when a package is upgraded; the agent then exports everything again",
			// Not --now: to stop it removes the targets.
			Command: "systemctl mask " + unit + " (do not stop it, and do not add --now: that removes the targets)",
		})
	}
	return all
}

func checkSaved(f Facts) []Finding {
	n := needsOf(f.Set)
	var all []Finding
	for _, s := range f.Saved {
		what := f.conflictsIn(s, n)
		if len(what) == 0 {
			continue
		}
		found := Finding{
			Severity: Note, Subject: s.Path, Text: "has " + some(what) + ", which the agent manages or may have removed; no service restores the file",
			Consequence: "a restore by hand (targetctl restore, targetcli restoreconfig, nvmetcli restore) serves what was removed",
			Command:     "move the file away if specs declare all that it has",
		}
		for _, unit := range restorers(s.Path) {
			if f.Services[unit].Enabled {
				found.Severity, found.Text = Error, fmt.Sprintf("has %s, which the agent manages or may have removed; %s restores them at boot", some(what), unit)
				found.Consequence = "after a reboot, initiators reach volumes and targets that are no longer declared, with old passwords"
				found.Command = fmt.Sprintf("systemctl mask %s; move %s away if specs declare all that it has", unit, s.Path)
			}
		}
		all = append(all, found)
	}
	return all
}

// conflictsIn returns what of a file is ours, or is on devices of ours.
func (f Facts) conflictsIn(s Saved, n needs) []string {
	var what []string
	for _, name := range slices.Sorted(maps.Keys(s.Backing)) {
		if _, ours := ondisk.BackstoreOwner(name); ours || n.declares(s.Backing[name]) {
			what = append(what, name)
		}
	}
	for _, name := range s.Targets {
		declared := slices.ContainsFunc(slices.Collect(maps.Values(f.Set.Exports)), func(e spec.Export) bool { return e.Spec.Target == name })
		if declared || ondisk.IsTargetMark(f.State.LIO.ISCSI[name].Mark) || ondisk.IsTargetMark(f.State.NVMe[name].Mark) {
			what = append(what, name)
		}
	}
	return what
}

// declares reports whether a device is that of a declared volume, by one of the names that LVM gives it.
func (n needs) declares(device string) bool {
	double := func(name string) string { return strings.ReplaceAll(name, "-", "--") }
	for group, volumes := range n.volumes {
		for _, v := range volumes {
			if device == "/dev/"+group+"/"+v || device == "/dev/mapper/"+double(group)+"-"+double(v) {
				return true
			}
		}
	}
	return false
}

func checkTGT(f Facts) []Finding {
	if f.TGT || !f.Services[unitTGT].Enabled {
		return nil
	}
	for _, p := range needsOf(f.Set).portals {
		if !p.protocol.IsNVMe() && p.at.Port() == iscsiPort {
			return []Finding{{
				Severity: Warning, Subject: unitTGT, Text: "the service is enabled; tgtd listens on port 3260 of all addresses as soon as it starts",
				Consequence: fmt.Sprintf("after a boot, portal %s of Export/%s cannot be created if tgtd was first", p.at, p.export),
				Command:     "systemctl mask " + unitTGT + " (if tgtadm --mode target --op show has targets, they end when you stop it), or let tgtd serve the Exports: --backend tgt",
			}}
		}
	}
	return nil
}

// iscsiPort is where tgtd(8) listens by default.
const iscsiPort = 3260

// checkMultipath: multipathd leaves device-mapper's devices alone by default ("!^(sd[a-z]|dasd[a-z]|nvme[0-9])",
// multipath.conf(5)), unless an exception names them.
func checkMultipath(f Facts) []Finding {
	if !f.Multipath.Running || len(f.Set.Pools) == 0 {
		return nil
	}
	var all []Finding
	for _, expression := range slices.Sorted(maps.Keys(f.Multipath.Exceptions)) {
		pattern, inverted := strings.CutPrefix(expression, "!")
		re, err := regexp.Compile(pattern)
		if err != nil || re.MatchString("dm-0") == inverted {
			continue
		}
		file := f.Multipath.Exceptions[expression]
		all = append(all, Finding{
			Severity: Warning, Subject: file, Text: fmt.Sprintf("blacklist_exceptions has devnode %q, which includes logical volumes (dm-0)", expression),
			Consequence: "multipathd may take a logical volume for a path, and keep it from being exported, resized or removed",
			Command:     fmt.Sprintf("remove that line from %s; then run: multipathd reconfigure", file),
		})
	}
	return all
}
