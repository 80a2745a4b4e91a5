package pvscan

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

const (
	lvmEtc = "/etc/lvm"
	devDir = "/dev"
)

// config is what lvm.conf(5) says about which devices LVM opens.
type config struct {
	// filters are devices/filter and devices/global_filter: a device needs the consent
	// of both.
	filters []filter
	// devicesFile is the path of the devices file (lvmdevices(8)); empty: it is not used.
	devicesFile string
	// scanLVs is true if LVM looks for physical volumes in logical volumes.
	scanLVs bool
}

// readConfig asks LVM for its settings. An error also means that LVM is to look by
// itself: it does not take a list of devices, or has settings that are not understood.
func readConfig(ctx context.Context, run host.Runner) (config, error) {
	out, err := run.Run(ctx, "lvm", "lvmconfig", "--typeconfig", "full", "devices")
	if err != nil {
		return config{}, err
	}
	return parseConfig(string(out.Stdout))
}

func parseConfig(text string) (config, error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = value
		}
	}
	// --devices is of the same version, 2.03.12.
	use, ok := values["use_devicesfile"]
	if !ok {
		return config{}, fmt.Errorf("this version of LVM takes no list of devices")
	}
	if dir := values["dir"]; dir != `"`+devDir+`"` {
		return config{}, fmt.Errorf("devices/dir is %s", dir)
	}
	c := config{scanLVs: values["scan_lvs"] == "1"}
	if use == "1" {
		c.devicesFile = path.Join(lvmEtc, "devices", path.Base(strings.Trim(values["devicesfile"], `"`)))
	}
	for _, key := range []string{"filter", "global_filter"} {
		f, err := parseFilter(values[key])
		if err != nil {
			return config{}, fmt.Errorf("devices/%s: %w", key, err)
		}
		c.filters = append(c.filters, f)
	}
	return c, nil
}

// filter is a list of patterns of which the first that matches a name decides.
type filter []pattern

type pattern struct {
	accept bool
	re     *regexp.Regexp
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// parseFilter understands ["a|/dev/sda|","r|.*|"], and a single string.
func parseFilter(value string) (filter, error) {
	var f filter
	for _, m := range quoted.FindAllStringSubmatch(value, -1) {
		p, err := parsePattern(strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(m[1]))
		if err != nil {
			return nil, err
		}
		f = append(f, p)
	}
	return f, nil
}

// parsePattern takes apart a letter and what is between two separators, of which an
// opening bracket is closed by its like (_extract_pattern in LVM's
// lib/filters/filter-regex.c).
func parsePattern(text string) (pattern, error) {
	if len(text) < 3 || text[0] != 'a' && text[0] != 'r' {
		return pattern{}, fmt.Errorf("%q is not a pattern", text)
	}
	end := text[1]
	if i := strings.IndexByte("([{", end); i >= 0 {
		end = ")]}"[i]
	}
	if text[len(text)-1] != end {
		return pattern{}, fmt.Errorf("%q does not end with its separator", text)
	}
	re, err := regexp.Compile(text[2 : len(text)-1])
	return pattern{accept: text[0] == 'a', re: re}, err
}

// accepts reports whether LVM would open a device with these names: one name that is
// accepted is enough, and so is it that no pattern matches any.
func (f filter) accepts(names []string) bool {
	rejected := false
	for _, name := range names {
		for _, p := range f {
			if !p.re.MatchString(name) {
				continue
			}
			if p.accept {
				return true
			}
			rejected = true
			break
		}
	}
	return !rejected
}

func (c config) accepts(names []string) bool {
	for _, f := range c.filters {
		if !f.accepts(names) {
			return false
		}
	}
	return true
}

// Accepts reports whether the filters of an lvm.conf(5), as lvmconfig(8) prints them, let LVM open a device
// that has these names.
func Accepts(names []string, filters ...string) (bool, error) {
	var c config
	for _, value := range filters {
		f, err := parseFilter(value)
		if err != nil {
			return false, err
		}
		c.filters = append(c.filters, f)
	}
	return c.accepts(names), nil
}
