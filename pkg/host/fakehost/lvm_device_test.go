package fakehost

import (
	"context"

	"github.com/onsi/ginkgo/v2" // its Entry would be in the way of ours
	. "github.com/onsi/gomega"
)

var _ = ginkgo.Describe("the devices of logical volumes", func() {
	var l lvm
	do := func(argv ...string) error {
		_, err := l.run(argv)
		return err
	}
	ginkgo.BeforeEach(func() {
		Expect(l.load(Node{VolumeGroups: []VolumeGroup{{Name: "vg-0", ExtentSize: 4 << 20, Extents: 100}}})).To(Succeed())
		Expect(do("lvcreate", "-n", "a", "-L", "4m", "vg-0")).To(Succeed())
		Expect(do("lvcreate", "-n", "b", "-L", "4m", "vg-0")).To(Succeed())
	})

	ginkgo.It("are found by path and number while they are active", func() {
		b := l.find("vg-0", "b")
		for _, path := range []string{"/dev/vg-0/b", "/dev/mapper/vg--0-b", "/dev/dm-1"} {
			Expect(l.byPath(path)).To(BeIdenticalTo(b), path)
		}
		vg, lv := l.byMinor(1)
		Expect(vg).To(Equal("vg-0"))
		Expect(lv).To(BeIdenticalTo(b))

		Expect(do("lvchange", "-an", "vg-0/b")).To(Succeed())
		Expect(l.byPath("/dev/vg-0/b")).To(BeNil())
		_, lv = l.byMinor(1)
		Expect(lv).To(BeNil())
		Expect(l.byPath("/dev/vg-0/none")).To(BeNil())
	})

	ginkgo.It("are in use as long as anybody holds them", func() {
		l.hold(1)
		l.hold(1)
		l.release(1)
		Expect(do("lvchange", "-an", "vg-0/b")).To(MatchError(ContainSubstring("Logical volume vg-0/b in use.")))
		Expect(do("lvremove", "-y", "vg-0/b")).To(MatchError(ContainSubstring("Logical volume vg-0/b in use.")))
		Expect(do("lvremove", "-y", "vg-0/a")).To(Succeed())
		Expect(do("lvrename", "vg-0/b", "vg-0/c")).To(Succeed())
		l.release(1)
		l.release(1)
		Expect(do("lvremove", "-y", "vg-0/c")).To(Succeed())
	})

	ginkgo.It("lets active ones keep their numbers when a node is loaded", func() {
		h, err := New(Node{VolumeGroups: []VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 100, LogicalVolumes: []LogicalVolume{
			{Name: "a", Type: thick, Size: 4 << 20, Active: true, Minor: 2},
			{Name: "b", Type: thick, Size: 4 << 20, Active: true, Minor: 2},
			{Name: "c", Type: thick, Size: 4 << 20, Active: true, Minor: 0},
			{Name: "d", Type: thick, Size: 4 << 20, Minor: 5},
		}}}})
		Expect(err).NotTo(HaveOccurred())
		var minors []int
		for _, lv := range h.Node().VolumeGroups[0].LogicalVolumes {
			minors = append(minors, lv.Minor)
		}
		Expect(minors).To(Equal([]int{2, 1, 0, 0}))
		_, err = h.Run(context.Background(), "lvs")
		Expect(err).NotTo(HaveOccurred())
	})
})
