package main

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var _ = Describe("the fake backend", func() {
	const node = `# a comment, by which an unchanged file can be told
apiVersion: volreconciler/v1alpha1
kind: Node
volumeGroups:
- {name: vg0, uuid: "", extentSize: 4194304, extents: 100}
`
	var dir, file string
	var b *backend
	var faked []string
	BeforeEach(func() {
		dir = filepath.Join(GinkgoT().TempDir(), "nodes")
		file = filepath.Join(dir, "node.yaml")
		Expect(os.Mkdir(dir, 0o700)).To(Succeed())
		Expect(os.WriteFile(file, []byte(node), 0o600)).To(Succeed())
		faked = nil
		var err error
		b, err = openNode(file, func(c fakehost.Call) { faked = append(faked, c.String()) })
		Expect(err).NotTo(HaveOccurred())
	})
	stored := func() fakehost.Node {
		GinkgoHelper()
		data, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		n, err := fakehost.Parse(data)
		Expect(err).NotTo(HaveOccurred())
		return n
	}
	create := func(ctx SpecContext, name string) {
		GinkgoHelper()
		_, err := b.lvm.Run(ctx, "lvcreate", "-qq", "-y", "-L", "8m", "-n", name, "vg0")
		Expect(err).NotTo(HaveOccurred())
	}

	It("leaves the file alone while nothing changes", func(ctx SpecContext) {
		_, err := b.Run(ctx, "lvs")
		Expect(err).NotTo(HaveOccurred())
		Expect(b.endPass()).To(Succeed())
		Expect(os.ReadFile(file)).To(BeEquivalentTo(node))
		Expect(faked).To(BeEmpty())
	})

	It("stores what changed, and tells of it", func(ctx SpecContext) {
		create(ctx, "a")
		Expect(b.endPass()).To(Succeed())
		Expect(stored().VolumeGroups[0].LogicalVolumes).To(ConsistOf(HaveField("Name", "a")))
		Expect(faked).To(Equal([]string{"lvcreate -qq -y -L 8m -n a vg0"}))
		Expect(os.ReadDir(dir)).To(HaveLen(1), "nothing else is left behind")
	})

	It("stores later what it could not store", func(ctx SpecContext) {
		create(ctx, "a")
		away := dir + "-away"
		Expect(os.Rename(dir, away)).To(Succeed())
		Expect(b.endPass()).To(MatchError(ContainSubstring("cannot write node file " + file)))
		Expect(os.Rename(away, dir)).To(Succeed())
		Expect(b.endPass()).To(Succeed())
		Expect(stored().VolumeGroups[0].LogicalVolumes).To(HaveLen(1))
	})

	It("keeps a symlink to the file", func(ctx SpecContext) {
		elsewhere := filepath.Join(GinkgoT().TempDir(), "real.yaml")
		Expect(os.Rename(file, elsewhere)).To(Succeed())
		Expect(os.Symlink(elsewhere, file)).To(Succeed())
		create(ctx, "a")
		Expect(b.endPass()).To(Succeed())
		Expect(os.Readlink(file)).To(Equal(elsewhere))
		Expect(stored().VolumeGroups[0].LogicalVolumes).To(HaveLen(1))
	})
})
