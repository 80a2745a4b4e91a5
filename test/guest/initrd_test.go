package guest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/cavaliergopher/cpio"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
)

var _ = Describe("the initial RAM file system", func() {
	It("holds PID 1, the modules and their order", func() {
		root := GinkgoT().TempDir()
		write := func(name, content string) {
			path := filepath.Join(root, name)
			Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
			Expect(os.WriteFile(path, []byte(content), 0o644)).To(Succeed())
		}
		write("usr/lib/modules/1.2.3/modules.dep", "a/virtio_blk.ko: a/virtio.ko\na/virtio.ko:\na/other.ko:\n")
		write("usr/lib/modules/1.2.3/a/virtio.ko", "one")
		write("usr/lib/modules/1.2.3/a/virtio_blk.ko", "three")

		told := handover.Guest{Machine: handover.UserMode, Root: "/cache/of a user"}
		initrd, err := makeInitrd(debian.Kernel{Dir: root, Version: "1.2.3"}, []byte("program"), told)
		Expect(err).NotTo(HaveOccurred())

		content, modes := map[string]string{}, map[string]cpio.FileMode{}
		reader := cpio.NewReader(bytes.NewReader(initrd))
		for {
			header, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred())
			text, err := io.ReadAll(reader)
			Expect(err).NotTo(HaveOccurred())
			content[header.Name], modes[header.Name] = string(text), header.Mode
		}
		Expect(handover.Parse([]byte(content["guest.json"]))).To(Equal(told))
		delete(content, "guest.json")
		Expect(content).To(Equal(map[string]string{
			"init":                  "program",
			"modules":               "",
			"modules/virtio.ko":     "one",
			"modules/virtio_blk.ko": "three",
			"modules/list":          "virtio.ko\nvirtio_blk.ko\n",
		}))
		Expect(modes).To(HaveKeyWithValue("init", cpio.FileMode(cpio.TypeReg|0o755)))
	})
})
