package fakehost

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// LVM's exit statuses (its tools/errors.h).
const (
	noSuchCommand = 2
	invalidLine   = 3
	failed        = 5
)

// lvmError is an error that LVM prints, and its exit status.
type lvmError struct {
	code int
	text string
}

func (e *lvmError) Error() string { return e.text }

// failure is an error of a command that was understood.
func failure(format string, args ...any) error {
	return &lvmError{failed, fmt.Sprintf(format, args...)}
}

// misuse is an error in a command line.
func misuse(format string, args ...any) error {
	return &lvmError{invalidLine, fmt.Sprintf(format, args...)}
}

// command is a command that runs.
type command struct {
	*lvm
	name           string
	options        options
	args           []string
	where          condition // what --select says
	code           int
	stdout, stderr strings.Builder
}

// commands are those that are played, what options they take, and what runs.
var commands = map[string]struct {
	options []option
	run     func(*command) error
}{
	"lvcreate":   {slices.Concat(commonOptions, createOptions), (*command).lvcreate},
	"lvchange":   {slices.Concat(commonOptions, changeOptions), (*command).lvchange},
	"lvconvert":  {slices.Concat(commonOptions, convertOptions), (*command).lvconvert},
	"lvextend":   {slices.Concat(commonOptions, extendOptions), (*command).lvextend},
	"lvremove":   {slices.Concat(commonOptions, removeOptions), (*command).lvremove},
	"lvrename":   {commonOptions, (*command).lvrename},
	"lvs":        {slices.Concat(commonOptions, reportOptions), (*command).lvs},
	"vgs":        {slices.Concat(commonOptions, reportOptions), (*command).vgs},
	"fullreport": {slices.Concat(commonOptions, reportOptions), (*command).fullreport},
}

func (c *command) run(argv []string) {
	if len(argv) > 0 && argv[0] == "lvm" {
		argv = argv[1:]
	}
	if len(argv) > 0 {
		c.name, argv = argv[0], argv[1:]
	}
	played, ok := commands[c.name]
	if !ok {
		c.fail(&lvmError{noSuchCommand, "No such command.  Try 'lvm help'."})
		return
	}
	var err error
	if c.options, c.args, err = parseOptions(c.name, played.options, argv); err == nil {
		c.where, err = parseSelection(c.options.last("select"))
	}
	if err == nil {
		err = played.run(c)
	}
	if err != nil {
		c.fail(err)
	}
}

// print prints a line, unless the command is to be silent (-qq).
func (c *command) print(format string, args ...any) {
	if len(c.options["quiet"]) < 2 {
		fmt.Fprintf(&c.stdout, "  "+format+"\n", args...)
	}
}

// warn prints a line on stderr.
func (c *command) warn(format string, args ...any) { fmt.Fprintf(&c.stderr, "  "+format+"\n", args...) }

// fail prints an error and remembers its exit status; the command may continue.
func (c *command) fail(err error) {
	var e *lvmError
	if !errors.As(err, &e) {
		e = &lvmError{failed, err.Error()}
	}
	for line := range strings.Lines(e.text) {
		c.warn("%s", strings.TrimSuffix(line, "\n"))
	}
	c.code = max(c.code, e.code)
}

// readableGroup returns a volume group that LVM can read.
func (c *command) readableGroup(name string) (*group, error) {
	switch g := c.group(name); {
	case g == nil:
		return nil, failure("Volume group %q not found\nCannot process volume group %s", name, name)
	case g.Unusable != "":
		return nil, failure("%s\nCannot process volume group %s", strings.TrimSpace(g.Unusable), name)
	default:
		return g, nil
	}
}

// writableGroup returns a volume group whose metadata can be changed.
func (c *command) writableGroup(name string) (*group, error) {
	g, err := c.readableGroup(name)
	switch {
	case err != nil:
	case g.Exported:
		return nil, failure("Volume group %s is exported\nCannot process volume group %s", name, name)
	case g.SystemID != "":
		return nil, failure("Cannot access VG %s with system ID %s with unknown local system ID.\nCannot process volume group %s", name, g.SystemID, name)
	}
	if err == nil && g.MissingPVs > 0 {
		return nil, failure("Cannot change VG %s while PVs are missing.\n"+
			"See vgreduce --removemissing and vgextend --restoremissing.\nCannot process volume group %s", name, name)
	}
	return g, err
}

// bumpSeqno records a change of a volume group's metadata.
func (g *group) bumpSeqno() { g.Seqno++ }

// splitName splits vg/lv and /dev/vg/lv. Of a volume group lv is empty.
func splitName(arg string) (vg, lv string, err error) {
	name := strings.TrimPrefix(arg, "/dev/")
	vg, lv, _ = strings.Cut(name, "/")
	if vg == "" || strings.Contains(lv, "/") {
		return "", "", misuse("%q: Invalid path for Logical Volume.", arg)
	}
	return vg, lv, nil
}

// each calls do for every logical volume that the arguments name, a volume
// group naming all in it, and that --select selects. As in LVM all are selected before anything is
// done: one that is an origin until its snapshot is removed was not alone. What fails is printed, and
// the others are still done. use says which volume groups may be worked on.
func (c *command) each(use func(string) (*group, error), do func(*group, *LogicalVolume) error) error {
	args := c.args
	if len(args) == 0 {
		if !c.options.has("select") {
			return c.noSuchSyntax()
		}
		for _, g := range c.groups {
			args = append(args, g.Name)
		}
	}
	type chosen struct {
		g  *group
		lv *LogicalVolume
	}
	var all []chosen
	for _, arg := range args {
		vg, name, err := splitName(arg)
		if err != nil {
			return err
		}
		g, err := use(vg)
		if err != nil {
			c.fail(err)
			continue
		}
		lvs := g.lvs
		if name != "" {
			lv := g.find(name)
			if lv == nil {
				c.fail(failure("Failed to find logical volume %q", vg+"/"+name))
				continue
			}
			lvs = []*LogicalVolume{lv}
		}
		for _, lv := range lvs {
			if c.where.holds(row{c.lvm, g, lv}) {
				all = append(all, chosen{g, lv})
			}
		}
	}
	for _, one := range all {
		if one.g.find(one.lv.Name) != one.lv {
			continue // it has gone with one before
		}
		if err := do(one.g, one.lv); err != nil {
			c.fail(err)
		}
	}
	return nil
}

// noSuchSyntax is the error of a line whose options and arguments do not belong
// together.
func (c *command) noSuchSyntax() error {
	return misuse("No command with matching syntax recognised.  Run '%s --help' for more information.", c.name)
}

// misused is the error of a line that is understood only to be refused.
func (c *command) misused(format string, args ...any) error {
	return misuse("%s\nRun `%s --help' for more information.", fmt.Sprintf(format, args...), c.name)
}
