package fakehost

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// option is an option that a command takes.
type option struct {
	long  string
	short string // a letter, or empty
	// value checks the option's value; nil: it takes none.
	value func(string) error
	// many is true if it may be given more than once.
	many bool
}

var (
	commonOptions = []option{
		{long: "yes", short: "y", many: true}, {long: "quiet", short: "q", many: true}, {long: "verbose", short: "v", many: true},
		{long: "config", value: anything}, {long: "autobackup", short: "A", value: yesOrNo}, {long: "noudevsync"},
	}
	selectOption  = option{long: "select", short: "S", value: anything}
	sizeOptions   = []option{{long: "size", short: "L", value: sizeValue}, {long: "extents", short: "l", value: anything}}
	createOptions = slices.Concat(sizeOptions, []option{
		{long: "name", short: "n", value: anything}, {long: "virtualsize", short: "V", value: sizeValue},
		{long: "thin", short: "T"}, {long: "thinpool", value: anything}, {long: "snapshot", short: "s"},
		{long: "type", value: anything}, {long: "addtag", value: tagValue, many: true},
		{long: "activate", short: "a", value: yesOrNo}, {long: "permission", short: "p", value: permissionValue},
		{long: "wipesignatures", short: "W", value: yesOrNo}, {long: "zero", short: "Z", value: yesOrNo},
		{long: "ignoreactivationskip", short: "K"}, {long: "setactivationskip", short: "k", value: yesOrNo},
		{long: "poolmetadatasize", value: sizeValue}, {long: "chunksize", short: "c", value: sizeValue},
	})
	changeOptions = []option{
		selectOption, {long: "activate", short: "a", value: yesOrNo}, {long: "ignoreactivationskip", short: "K"},
		{long: "setactivationskip", short: "k", value: yesOrNo}, {long: "permission", short: "p", value: permissionValue},
		{long: "addtag", value: tagValue, many: true}, {long: "deltag", value: tagValue, many: true},
		{long: "force", short: "f", many: true},
	}
	convertOptions = []option{{long: "splitsnapshot"}, {long: "force", short: "f", many: true}}
	extendOptions  = slices.Concat(sizeOptions, []option{{long: "force", short: "f", many: true}})
	removeOptions  = []option{selectOption, {long: "force", short: "f", many: true}}
	reportOptions  = []option{
		selectOption, {long: "all", short: "a"}, {long: "options", short: "o", value: anything, many: true},
		{long: "reportformat", value: oneOf("json", "basic")}, {long: "configreport", value: oneOf("vg", "lv", "pv", "pvseg", "seg"), many: true},
		{long: "units", value: anything}, {long: "nosuffix"}, {long: "noheadings"}, {long: "separator", value: anything},
	}
)

func anything(string) error { return nil }

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("%q", v)
		}
		return nil
	}
}

func yesOrNo(v string) error         { return oneOf("y", "n")(v) }
func permissionValue(v string) error { return oneOf("r", "rw")(v) }

func sizeValue(v string) error {
	_, err := parseSize(strings.TrimPrefix(v, "+"))
	return err
}

// tagValue accepts tags. LVM drops a leading @.
func tagValue(v string) error {
	v = strings.TrimPrefix(v, "@")
	if v == "" || strings.Trim(v, alphanumeric+"_+.-/=!:#&") != "" {
		return fmt.Errorf("%q", v)
	}
	return nil
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// options are those that were given, by their long names, with their values in
// order; an option without a value has empty ones.
type options map[string][]string

func (o options) has(long string) bool { return len(o[long]) > 0 }

func (o options) last(long string) string {
	if !o.has(long) {
		return ""
	}
	return o[long][len(o[long])-1]
}

// size returns the value of an option that is a size, 0 if it was not given.
func (o options) size(long string) uint64 {
	n, _ := parseSize(strings.TrimPrefix(o.last(long), "+")) // it was checked
	return n
}

// parseOptions takes a command line apart, as getopt_long(3) does: options may
// stand anywhere before a --.
func parseOptions(command string, known []option, argv []string) (options, []string, error) {
	var (
		given    = options{}
		operands []string
		part     string // what the options to come are for
	)
	bad := func(format string, args ...any) error {
		return misuse(command+": "+format+"\nError during parsing of command line.", args...)
	}
	for len(argv) > 0 {
		arg := argv[0]
		argv = argv[1:]
		if arg == "--" {
			operands = append(operands, argv...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			operands = append(operands, arg)
			continue
		}
		for arg != "" {
			o, shown, value, attached, rest := nextOption(known, arg)
			switch {
			case o == nil && strings.HasPrefix(arg, "--"):
				return nil, nil, bad("unrecognized option '%s'", arg)
			case o == nil:
				return nil, nil, bad("invalid option -- '%s'", shown)
			case o.value == nil && attached && strings.HasPrefix(arg, "--"):
				return nil, nil, bad("option '--%s' doesn't allow an argument", o.long)
			case o.value != nil && !attached && len(argv) == 0:
				return nil, nil, bad("option requires an argument -- '%s'", shown)
			case o.value != nil && !attached:
				value, argv = argv[0], argv[1:]
			}
			if o.value != nil && o.value(value) != nil {
				return nil, nil, misuse("Invalid argument for --%s: %s\nError during parsing of command line.", o.long, value)
			}
			if given.has(o.long) && !o.many {
				return nil, nil, misuse("Option --%s may not be repeated.\nError during parsing of command line.", o.long)
			}
			if o.long == "configreport" {
				part = value
			}
			if o.long == "options" {
				value = part + ":" + value
			}
			given[o.long] = append(given[o.long], value)
			arg = rest
		}
	}
	return given, operands, nil
}

// nextOption finds the option at the start of an argument. rest are options
// that follow in the same argument, as in -qq.
func nextOption(known []option, arg string) (o *option, shown, value string, attached bool, rest string) {
	if long, ok := strings.CutPrefix(arg, "--"); ok {
		long, value, attached = strings.Cut(long, "=")
		i := slices.IndexFunc(known, func(o option) bool { return o.long == long })
		if i < 0 {
			return nil, long, "", false, ""
		}
		return &known[i], long, value, attached, ""
	}
	shown, tail := arg[1:2], arg[2:]
	i := slices.IndexFunc(known, func(o option) bool { return o.short == shown })
	switch {
	case i < 0:
		return nil, shown, "", false, ""
	case known[i].value != nil:
		return &known[i], shown, tail, tail != "", ""
	case tail != "":
		rest = "-" + tail
	}
	return &known[i], shown, "", false, rest
}

const sector = 512

// parseSize parses a size: a number with a unit, b for bytes, k, m, g, t, p or e
// of either case for powers of 1024; without one it is in MiB. It must be a
// multiple of 512.
func parseSize(s string) (uint64, error) {
	number, shift := s, 20
	if i := strings.IndexAny(s, "bBsSkKmMgGtTpPeE"); i >= 0 {
		number = s[:i]
		unit := strings.ToLower(s[i : i+1])
		shift = map[string]int{"b": 0, "s": 9, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}[unit]
		if more := strings.ToLower(s[i+1:]); more != "" && more != "b" && more != "ib" {
			return 0, fmt.Errorf("size %q", s)
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n*float64(uint64(1)<<shift) >= 1<<63 {
		return 0, fmt.Errorf("size %q", s)
	}
	size := uint64(n * float64(uint64(1)<<shift))
	if whole, err := strconv.ParseUint(number, 10, 64); err == nil {
		size = whole << shift
	}
	if size%sector != 0 {
		return 0, fmt.Errorf("size %q is not a multiple of %d", s, sector)
	}
	return size, nil
}
