package doctor

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// ToolRemark says that a tool that the agent depends on, or the kernel, is of a version
// that it was not tested with.
type ToolRemark struct {
	// Tool is its name.
	Tool string
	Text string
	// Consequence is what may not work.
	Consequence string
	// Warning is true if something may not work for it.
	Warning bool
}

// Sentence says it all.
func (r ToolRemark) Sentence() string {
	if !r.Warning {
		return r.Text
	}
	return fmt.Sprintf("%s: %s. Upgrade it", r.Text, r.Consequence)
}

// tool is what the agent depends on, and the versions that it was tested with: the tools
// of Debian 12 and 13, and the kernels from 6.1 on.
type tool struct {
	name           string
	oldest, newest string
	// older is what may not work with older ones.
	older string
}

var (
	lvmTool    = tool{"lvm2", "2.03.16", "2.03.31", "volume groups may not be readable, and changes may fail"}
	thinTool   = tool{"thin-provisioning-tools", "0.9.0", "1.1.0", "moving thin Volumes to another pool may fail"}
	imageTool  = tool{"qemu-img", "7.2", "10.0", "filling Volumes from images and writing Images may fail"}
	kernelTool = tool{"kernel", "6.1", "7.2", "exports may lack functions and attributes that the specs require"}
)

// CheckTools returns what is remarkable about the versions of the tools on this machine.
// It starts a process for each of them, so it is called once. A tool that does not say
// its version is left out; who needs it will say what is wrong with it. qemu-img is asked only if
// the set uses images.
func CheckTools(ctx context.Context, h host.Host, set spec.Set) []ToolRemark {
	var remarks []ToolRemark
	judge := func(t tool, text string) {
		if r, remarkable := t.check(text); remarkable {
			remarks = append(remarks, r)
		}
	}
	say := func(argv ...string) string {
		// LVM fails where it does not reach the kernel, after it said its version.
		out, _ := h.Run(ctx, argv...)
		return string(out.Stdout)
	}
	judge(lvmTool, say("lvm", "version"))
	judge(thinTool, say("thin_delta", "--version"))
	if needsOf(set).images {
		judge(imageTool, say("qemu-img", "--version"))
	}
	if release, err := h.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		judge(kernelTool, string(release))
	}
	return remarks
}

var versionNumber = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// check finds the version in a tool's output and compares it. Newest is compared only
// in the numbers that it has: 7.2 means any 7.2.
func (t tool) check(said string) (ToolRemark, bool) {
	version := versionNumber.FindString(said)
	switch {
	case version == "":
		return ToolRemark{}, false
	case compareVersions(version, t.oldest) < 0:
		return ToolRemark{
			Tool: t.name, Text: fmt.Sprintf("%s %s is older than %s, the oldest version tested with volreconciler", t.name, version, t.oldest),
			Consequence: t.older, Warning: true,
		}, true
	case compareVersions(truncateVersion(version, t.newest), t.newest) > 0:
		return ToolRemark{
			Tool: t.name, Text: fmt.Sprintf("%s %s is newer than %s, the newest version tested with volreconciler", t.name, version, t.newest),
			Consequence: "nothing is known to be wrong with it",
		}, true
	default:
		return ToolRemark{}, false
	}
}

// compareVersions compares number by number. One that lacks is a 0.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i]) // digits; more than an int holds are as many as it does
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// truncateVersion returns as many numbers of a version as the other version has.
func truncateVersion(version, other string) string {
	numbers := strings.Split(version, ".")
	return strings.Join(numbers[:min(len(numbers), strings.Count(other, ".")+1)], ".")
}
