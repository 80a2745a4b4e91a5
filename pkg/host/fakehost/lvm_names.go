package fakehost

import (
	"slices"
	"strings"
)

const (
	// longestName is what LVM takes as a name, and device-mapper as a device's.
	longestName = 127
	// longestSuffix is of those that LVM adds to the names of hidden devices.
	longestSuffix = len("-tpool")
)

// reservedStarts and reservedParts are in no names that are given.
var (
	reservedStarts = []string{"pvmove", "snapshot"}
	reservedParts  = []string{
		"_cdata", "_cmeta", "_corig", "_cvol", "_wcorig", "_imeta", "_iorig", "_mimage", "_mlog", "_pmspare",
		"_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin",
	}
)

// checkNewName refuses names that LVM does not take for a new logical volume.
func (c *command) checkNewName(g *group, name string) error {
	switch {
	case !validName(name) && c.name == "lvrename":
		return c.misused("New logical volume name %q is invalid", name)
	case !validName(name):
		return c.misused("Logical volume name %q is invalid.", name)
	}
	for _, s := range reservedStarts {
		if strings.HasPrefix(name, s) {
			return c.misused("Names starting %q are reserved. Please choose a different LV name.", s)
		}
	}
	for _, s := range reservedParts {
		if strings.Contains(name, s) {
			return c.misused("Names including %q are reserved. Please choose a different LV name.", s)
		}
	}
	if len(deviceName(g.Name, name))+longestSuffix > longestName {
		return failure("Full LV name %q is too long.", g.Name+"/"+name)
	}
	return nil
}

// validName accepts names as LVM's do (lvm(8), "VALID NAMES").
func validName(name string) bool {
	return name != "" && len(name) <= longestName && name[0] != '-' &&
		!slices.Contains([]string{".", ".."}, name) && strings.Trim(name, alphanumeric+"+_.-") == ""
}

// checkNameFree is an error if a logical volume has a name.
func (g *group) checkNameFree(name string) error {
	if g.find(name) == nil {
		return nil
	}
	return failure("Logical Volume %q already exists in volume group %q", name, g.Name)
}
