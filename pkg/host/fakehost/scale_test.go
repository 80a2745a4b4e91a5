package fakehost_test

import (
	"fmt"
	"runtime"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var _ = Describe("a node with much in it", Serial, func() {
	It("is written as the YAML library would write it", func() {
		h := machine()
		n := h.Node()
		texts := []string{
			"1\n", "", "\n", "no", "0x1", "1.5", "null", "a: b", "#", "- a", "  indented\n", "two\nlines\n", "end ", "a\n\x00b\n\x00", "\t", "é", "'", "\"",
			"Status: ACTIVATED  Max Queue Depth: 0\n        iBlock device: dm-1  UDEV PATH: /dev/a  readonly: 0\n        Major: 253\n",
		}
		paths := []string{"core", "core/iblock_900", "iscsi/iqn.2026-11.io:x", "np/[::]:3260", "fc/0x1", "a b/c", "true", "1/2", "end:", "end/:", "x/ #y", "é/x", "no/", "-/x", "acls/~", "w/" + fmt.Sprintf("%0200d", 0)}
		for i, path := range paths {
			n.ConfigFS = append(n.ConfigFS, fakehost.Entry{Path: path}, fakehost.Entry{Path: "links/x", Link: path})
			n.NVMet = append(n.NVMet, fakehost.Entry{Path: path, Text: &texts[i%len(texts)]})
		}
		for i := range texts {
			n.ConfigFS = append(n.ConfigFS, fakehost.Entry{Path: "core/text", Text: &texts[i]}, fakehost.Entry{Path: "again/text", Text: &texts[i]})
		}
		for _, n := range []fakehost.Node{h.Node(), n, {ConfigFS: n.ConfigFS[:1]}, {NVMet: n.NVMet}, {}} {
			n.APIVersion, n.Kind = fakehost.APIVersion, "Node"
			want, err := yaml.Marshal(n)
			Expect(err).NotTo(HaveOccurred())
			got, err := n.Marshal()
			Expect(err).NotTo(HaveOccurred())
			Expect(string(got)).To(Equal(string(want)))
		}
	})

	// mallocs is how often memory is allocated while n logical volumes are created,
	// reported and read.
	mallocs := func(n int) float64 {
		GinkgoHelper()
		h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 1 << 20}}})
		Expect(err).NotTo(HaveOccurred())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range n {
			sh(h, fmt.Sprintf("lvcreate -y -n v%d -L 4m vg0", i))
		}
		sh(h, "lvm fullreport --reportformat json")
		for i := range n {
			_, err := h.ReadDir(fmt.Sprintf("/sys/dev/block/253:%d/holders", i))
			Expect(err).NotTo(HaveOccurred())
			_, err = h.ReadBlocks(fmt.Sprintf("/dev/vg0/v%d", i), 0, 512)
			Expect(err).NotTo(HaveOccurred())
		}
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs - before.Mallocs)
	}

	It("costs as much for each as one with less", func() {
		few := mallocs(100)
		Expect(mallocs(400)).To(BeNumerically("<", 4.5*few))
	})

	It("has as many free extents after each command as when it is loaded anew", func() {
		h := machine()
		free := func(h *fakehost.Host) string { return sh(h, "vgs -o vg_free_count vg0") }
		for _, line := range []string{
			"lvcreate -y -n a -L 8m vg0",
			"lvextend -L +8m vg0/a",
			"lvcreate -y -s -n cow -L 12m vg0/a",
			"lvextend -L +4m vg0/cow",
			"lvcreate -y -s -n other -L 8m vg0/a",
			"lvconvert --splitsnapshot -y vg0/other",
			"lvcreate -y --type thin-pool -Zy -L 32m --poolmetadatasize 16m -n second vg0",
			"lvextend -L +32m vg0/second",
			"lvextend -L +32m vg0/pool",
			"lvcreate -y -V 64m -T vg0/second -n thin2",
			"lvextend -L +64m vg0/thin2",
			"lvrename vg0/second vg0/third",
			"lvremove -y vg0/third",
			"lvremove -y vg0/a",
			"lvremove -y vg0",
		} {
			sh(h, line)
			again, err := fakehost.New(h.Node())
			Expect(err).NotTo(HaveOccurred())
			Expect(free(h)).To(Equal(free(again)), line)
			Expect(h.Node().VolumeGroups[0].Used()).To(Equal(again.Node().VolumeGroups[0].Used()))
		}
		Expect(free(h)).To(ContainSubstring("256"))
	})

	It("finds devices by each of their names", func() {
		h := machine()
		sh(h, "lvcreate -y -n a-b--c -L 4m vg0")
		for _, path := range []string{"/dev/vg0/a-b--c", "/dev/mapper/vg0-a--b----c"} {
			_, err := h.ReadBlocks(path, 0, 512)
			Expect(err).NotTo(HaveOccurred(), path)
		}
		for _, path := range []string{"/dev/vg0/a", "/dev/mapper/vg0-a-b--c", "/dev/mapper/vg0", "/dev/dm-07", "/dev/dm-", "/dev/vg0/"} {
			_, err := h.ReadBlocks(path, 0, 512)
			Expect(err).To(HaveOccurred(), path)
		}
	})
})
