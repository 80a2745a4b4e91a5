package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestDoctor(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "doctor")
}

// declared is a pool with a volume and a snapshot of each kind.
const declared = `
Pool thin {volumeGroup: vg0, thinPool: {name: pool0, size: 1Gi}}
Pool thick {volumeGroup: vg0}
Volume a {pool: thin, size: 1Gi}
Volume b {pool: thick, size: 1Gi}
Snapshot s {volume: b, size: 1Gi}
`

const (
	iscsiExport = "Export web {protocol: iscsi, allowAnyInitiator: true, luns: [{volume: a}]}\n"
	nvmeExport  = "Export fast {protocol: nvme-tcp, allowAnyInitiator: true, luns: [{volume: b}]}\n"
	iserExport  = "Export rdma {protocol: iser, allowAnyInitiator: true, portals: [\"192.0.2.1:3261\"], luns: [{volume: a}]}\n"
	fcExport    = "Export fc {protocol: fc, target: \"20:00:00:25:b5:00:00:01\", initiators: [{name: \"20:00:00:25:b5:00:00:02\"}], luns: [{volume: b}]}\n"
)

// setOf reads objects of one line each: a kind, a name, and the spec.
func setOf(text string) spec.Set {
	GinkgoHelper()
	if strings.TrimSpace(text) == "" {
		return spec.Set{} // no objects at all would be a finding
	}
	dir := GinkgoT().TempDir()
	var out strings.Builder
	for line := range strings.Lines(text) {
		if fields := strings.SplitN(strings.TrimSpace(line), " ", 3); len(fields) == 3 {
			fmt.Fprintf(&out, "---\napiVersion: %s\nkind: %s\nmetadata: {name: %s}\nspec: %s\n", spec.APIVersion, fields[0], fields[1], fields[2])
		}
	}
	Expect(os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(out.String()), 0o600)).To(Succeed())
	set := spec.LoadPaths([]string{dir}, spec.DefaultTargetPrefix)
	Expect(set.Findings).To(BeEmpty())
	return set
}

// debian is what lvmconfig prints on Debian 12 and 13 of the settings that are checked.
const debian = `config {
	checks=1
}
devices {
	dir="/dev"
	use_devicesfile=0
	filter=["a|.*|"]
	global_filter=["a|.*|"]
	scan_lvs=0
}
backup {
	backup=1
	archive=1
	archive_dir="/etc/lvm/archive"
	retain_min=10
	retain_days=30
}
global {
	event_activation=1
	thin_check_executable="/usr/sbin/thin_check"
	thin_repair_executable="/usr/sbin/thin_repair"
}
activation {
	snapshot_autoextend_threshold=100
	thin_pool_autoextend_threshold=100
	monitoring=1
}
dmeventd {
	executable="/usr/sbin/dmeventd"
}
tags {
	hosttags=0
}
`

// healthy are the facts of a node that has all that a set needs, with Debian's defaults.
func healthy(objects string) Facts {
	GinkgoHelper()
	f := Facts{Set: setOf(objects), Udev: true, Watches: 8192, Agent: Agent{Answers: true}}
	f.LVM.Config = parseConfig(debian)
	n := needsOf(f.Set)
	f.Kernel = Kernel{Release: "6.1.0-28-amd64", Modules: map[string]bool{}, ConfigFS: true, RDMA: []string{"rxe0"}}
	for _, m := range modulesFor(n, false) {
		f.Kernel.Modules[m.anyOf[0]] = true
	}
	f.Programs = map[string]bool{"/usr/sbin/dmeventd": true}
	for _, p := range programsFor(n, f.LVM.Config) {
		f.Programs[p.name] = true
	}
	f.State.VolumeGroups = map[string]observe.VolumeGroup{"vg0": {Name: "vg0"}}
	f.LVM.Groups = map[string]Group{"vg0": {MetadataSize: 1044480, MetadataFree: 520704}}
	f.Paths = Paths{Specs: "/specs", StateDir: "/state", ImageCache: "/cache", CacheSize: 20 << 30, Space: map[string]Space{
		"/state": {Size: 8 << 30, Free: 1 << 30}, "/cache": {Size: 80 << 30, Free: 40 << 30},
	}}
	return f
}

var everything = declared + iscsiExport + nvmeExport + iserExport + fcExport

var _ = Describe("A node that has everything", func() {
	It("has no findings", func() {
		f := healthy(everything)
		f.Addresses = nil
		Expect(Diagnose(f)).To(BeEmpty())
		Expect(needsOf(f.Set).protocols).To(HaveLen(4), "or nothing was asked for")
	})
	It("has no findings without any spec, whatever it lacks", func() {
		f := Facts{Set: setOf(""), Agent: Agent{Answers: true}, Programs: map[string]bool{"lvm": true}}
		f.Services = map[string]Service{unitRTSLib: {Enabled: true}, unitTGT: {Enabled: true}}
		f.Kernel.NoneInstalled, f.BindV6Only, f.ClockUnsynchronized = true, true, true
		Expect(Diagnose(f)).To(BeEmpty())
	})
})

// A row changes a healthy node, and names what is found then: "severity id: part of the text"; empty: nothing.
func row(name string, objects string, change func(*Facts), want ...string) TableEntry {
	return Entry(name, objects, change, want)
}

func judge(objects string, change func(*Facts), want []string) {
	GinkgoHelper()
	f := healthy(objects)
	change(&f)
	found := Diagnose(f)
	var said []string
	for _, one := range found {
		said = append(said, fmt.Sprintf("%s %s: %s: %s", one.Severity, one.ID, one.Subject, one.Text))
		Expect(one.Subject).NotTo(BeEmpty())
		Expect(one.Consequence).NotTo(BeEmpty(), one.ID)
		Expect(one.Command != "" || one.Severity == Note).To(BeTrue(), one.ID)
		for _, text := range []string{one.Text, one.Consequence, one.Command} {
			Expect(text).NotTo(HaveSuffix("."), one.ID)
			Expect(text).NotTo(ContainSubstring("%!"), one.ID)
		}
		for _, c := range Checks() {
			if c.ID == one.ID {
				Expect(c.Worst.rank()).To(BeNumerically("<=", one.Severity.rank()), "the documented severity of %s", one.ID)
			}
		}
	}
	Expect(said).To(HaveLen(len(want)), strings.Join(said, "\n"))
	for i, w := range want {
		id, text, _ := strings.Cut(w, ": ")
		Expect(said[i]).To(HavePrefix(id+": "), strings.Join(said, "\n"))
		Expect(said[i]).To(ContainSubstring(text))
		seen[strings.Fields(id)[1]] = true
	}
}

// seen are the checks that a row wants to find something.
var seen = map[string]bool{}

var _ = ReportAfterSuite("rows", func(report Report) {
	if report.SuiteConfig.FocusStrings != nil || !report.SuiteSucceeded {
		return
	}
	for _, c := range Checks() {
		if !seen[c.ID] {
			Fail("no row has a finding of " + c.ID)
		}
	}
})

var _ = Describe("The documentation", func() {
	It("has a row for each check, and no other", func() {
		page, err := os.ReadFile("../../docs/doctor.md")
		Expect(err).NotTo(HaveOccurred())
		var rows []string
		for _, c := range Checks() {
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", c.ID, c.Worst, c.Finds))
		}
		_, table, _ := strings.Cut(string(page), "## Checks\n")
		table, _, _ = strings.Cut(table, "\n## ")
		var have []string
		for line := range strings.Lines(table) {
			if strings.HasPrefix(line, "| `") {
				have = append(have, strings.TrimSpace(line))
			}
		}
		Expect(have).To(Equal(rows))
	})
})
