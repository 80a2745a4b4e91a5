package fakehost_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var _ = Describe("a node's file", func() {
	It("is read as it was written", func() {
		h := machine()
		sh(h, "lvcreate -y -s -n s -L 16m vg0/thick")
		data, err := h.Node().Marshal()
		Expect(err).NotTo(HaveOccurred())
		read, err := fakehost.Parse(data)
		Expect(err).NotTo(HaveOccurred())
		Expect(read).To(Equal(h.Node()))
	})

	DescribeTable("is refused", func(text, want string) {
		_, err := fakehost.Parse([]byte(text))
		Expect(err).To(MatchError(ContainSubstring(want)))
	},
		Entry("empty", "", "empty"),
		Entry("no YAML", "{", "node: yaml"),
		Entry("a field that there is not", head+"volumeGroups: [{name: vg0, extents: 1, color: red}]", "field color not found"),
		Entry("another kind", "apiVersion: volreconciler/v1alpha1\nkind: Pool\n", `"Pool"`),
		Entry("another version", "apiVersion: volreconciler/v2\nkind: Node\n", `"volreconciler/v2"`),
		Entry("two of them", head+"---\n"+head, "more than one document"),
	)

	DescribeTable("does not fit together", func(break_ func(*fakehost.Node), want string) {
		n := machine().Node()
		break_(&n)
		_, err := fakehost.New(n)
		Expect(err).To(MatchError(ContainSubstring(want)))
	},
		Entry(nil, func(n *fakehost.Node) { n.VolumeGroups = append(n.VolumeGroups, n.VolumeGroups[0]) }, "volume group vg0 is there twice"),
		Entry(nil, func(n *fakehost.Node) { lv(n, "thick").Name = "pool" }, "logical volume pool is there twice"),
		Entry(nil, func(n *fakehost.Node) { lv(n, "thick").Type = "fat" }, `no type "fat"`),
		Entry(nil, func(n *fakehost.Node) { lv(n, "thick").Size = 1 << 40 }, "there are only"),
		Entry(nil, func(n *fakehost.Node) { lv(n, "thick").Size++ }, "not a multiple of the extent size"),
		Entry(nil, func(n *fakehost.Node) { lv(n, "thin").Pool = "thick" }, "needs a thin pool"),
		Entry(nil, func(n *fakehost.Node) { lv(n, "thin").Origin = "x" }, "its origin x is not there"),
		Entry(nil, func(n *fakehost.Node) { lv(n, "thick").Type = "thickSnapshot" }, "needs an origin"),
		Entry(nil, func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/x", Dir: "/mnt"}} }, "no active logical volume"),
	)
})

const head = "apiVersion: volreconciler/v1alpha1\nkind: Node\n"

// lv finds a logical volume of vg0 in a node.
func lv(n *fakehost.Node, name string) *fakehost.LogicalVolume {
	for i := range n.VolumeGroups[0].LogicalVolumes {
		if n.VolumeGroups[0].LogicalVolumes[i].Name == name {
			return &n.VolumeGroups[0].LogicalVolumes[i]
		}
	}
	return nil
}
