package debian

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const modulesDep = `kernel/fs/9p/9p.ko: kernel/fs/netfs/netfs.ko kernel/net/9p/9pnet.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/fs/netfs/netfs.ko:
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/md/dm-mod.ko.xz:
`

var _ = Describe("modules.dep", func() {
	DescribeTable("puts what a module needs before it, and nothing twice",
		func(names []string, want ...string) {
			deps, err := parseDependencies(strings.NewReader(modulesDep))
			Expect(err).NotTo(HaveOccurred())
			Expect(deps.order(names...)).To(Equal(want))
		},
		Entry("alone", []string{"9pnet"}, "kernel/net/9p/9pnet.ko"),
		Entry("the farthest need first", []string{"9pnet_virtio"},
			"kernel/drivers/virtio/virtio.ko", "kernel/drivers/virtio/virtio_ring.ko",
			"kernel/net/9p/9pnet.ko", "kernel/net/9p/9pnet_virtio.ko"),
		Entry("shared needs once", []string{"9pnet", "9p", "9p"},
			"kernel/net/9p/9pnet.ko", "kernel/fs/netfs/netfs.ko", "kernel/fs/9p/9p.ko"),
		Entry("either spelling, compressed", []string{"dm_mod"}, "kernel/drivers/md/dm-mod.ko.xz"),
		Entry("built into the kernel", []string{"ext4", "9pnet"}, "kernel/net/9p/9pnet.ko"),
	)

	It("is refused when it is something else", func() {
		_, err := parseDependencies(strings.NewReader("<html>\n"))
		Expect(err).To(MatchError(ContainSubstring("modules.dep")))
	})
})
