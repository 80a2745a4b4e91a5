package observe

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// GroupError is why a volume group that is on this machine cannot be used. It says nothing about
// other volume groups.
type GroupError struct {
	Group string
	// Refused is true if LVM is configured to leave the volume group alone, and false if its
	// content is unknown.
	Refused bool
	err     error
}

// NewGroupError returns the error of a volume group.
func NewGroupError(group string, refused bool, why error) *GroupError {
	return &GroupError{Group: group, Refused: refused, err: why}
}

func (e *GroupError) Error() string { return e.err.Error() }

func (e *GroupError) Unwrap() error { return e.err }

// groupError makes an error a [GroupError], unless it is one.
func groupError(name string, err error) error {
	var is *GroupError
	if errors.As(err, &is) {
		return err
	}
	return NewGroupError(name, false, err)
}

func newRefusedError(name, format string, args ...any) *GroupError {
	return NewGroupError(name, true, fmt.Errorf(format, args...))
}

// sameName is the error of several volume groups with one name: nothing says which of them is meant.
func sameName(name string, uuids []string) error {
	return groupError(name, fmt.Errorf("two volume groups are named %s (UUIDs %s). Rename one: vgrename UUID NAME; if its disk is a copy of another: vgimportclone DEVICE",
		name, strings.Join(uuids, ", ")))
}

func exportedError(name string) error {
	return newRefusedError(name, "volume group %s is exported (vgexport), so LVM cannot activate or change its volumes. Import it: vgimport %s", name, name)
}

// What LVM prints to stderr about volume groups that it skips in a successful report.
var (
	noAccess   = regexp.MustCompile(`(?m)^\s*Cannot access VG (\S+) (.+)$`)
	ofSystem   = regexp.MustCompile(`^with system ID (.*) with (unknown local system ID|local system ID (.*?))\.?$`)
	needsLocks = regexp.MustCompile(`^with lock type (\S+) that requires lvmlockd`)
)

// skippedGroups returns why LVM skips volume groups that are missing in its report.
func skippedGroups(stderr string, reported map[string]VolumeGroup) []error {
	var all []error
	seen := map[string]bool{}
	for _, m := range noAccess.FindAllStringSubmatch(stderr, -1) {
		name, why := m[1], strings.TrimSpace(m[2])
		if _, there := reported[name]; there || seen[name] {
			continue
		}
		seen[name] = true
		if id := ofSystem.FindStringSubmatch(why); id != nil {
			own, as := id[3], fmt.Sprintf("local/extra_system_ids=[%q]", id[1])
			if own == "" { // LVM lets a node that has none do so only in the other's name
				own, as = "none", fmt.Sprintf(`global/system_id_source="lvmlocal" local/system_id=%q`, id[1])
			}
			all = append(all, newRefusedError(name, "volume group %s belongs to system %q (vg_systemid), but this node's system ID is %s. If no other node uses it, run: "+
				"vgchange --config '%s' --systemid %q %s (lvmsystemid(7))", name, id[1], own, as, id[3], name))
			continue
		}
		if lock := needsLocks.FindStringSubmatch(why); lock != nil {
			all = append(all, newRefusedError(name, "volume group %s is shared (lock type %s) and needs lvmlockd: set global/use_lvmlockd in lvm.conf and run vgchange --lock-start %s", name, lock[1], name))
			continue
		}
		all = append(all, newRefusedError(name, "LVM cannot access volume group %s %s", name, why))
	}
	return all
}

// duplicate is what LVM prints to stderr about a device with the same physical volume as another.
var duplicate = regexp.MustCompile(`(?m)^\s*WARNING: Not using device (\S+) for PV ([A-Za-z0-9-]+)\.$`)

// excludeDuplicates excludes the volume groups of which a physical volume is on several devices. LVM
// picks one of the devices, and activates and changes nothing while that is so.
func excludeDuplicates(stderr string, groups map[string]VolumeGroup) []error {
	devices := map[string][]string{} // by the physical volume's UUID
	for _, m := range duplicate.FindAllStringSubmatch(stderr, -1) {
		if !slices.Contains(devices[m[2]], m[1]) {
			devices[m[2]] = append(devices[m[2]], m[1])
		}
	}
	if len(devices) == 0 {
		return nil
	}
	var all []error
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		var on []string
		for _, pv := range groups[name].pvs {
			on = append(on, devices[pv]...)
		}
		if len(on) == 0 {
			continue
		}
		all = append(all, NewGroupError(name, false, fmt.Errorf("volume group %s: physical volume %s exists on several devices, so LVM cannot change or activate it; %s is ignored. "+
			"Detach the copy, or import it as its own volume group: vgimportclone %s", name, groups[name].UUID, strings.Join(on, ", "), strings.Join(on, " "))))
		delete(groups, name)
	}
	return all
}

// splitByGroup separates the errors of a single volume group from others.
func splitByGroup(err error) (byGroup map[string]error, others error) {
	var walk func(error)
	walk = func(err error) {
		var of *GroupError
		if joined, is := err.(interface{ Unwrap() []error }); is {
			for _, part := range joined.Unwrap() {
				walk(part)
			}
		} else if errors.As(err, &of) {
			if byGroup == nil {
				byGroup = map[string]error{}
			}
			byGroup[of.Group] = of
		} else if err != nil {
			others = errors.Join(others, err)
		}
	}
	walk(err)
	return byGroup, others
}
