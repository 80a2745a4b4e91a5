package watch

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = Describe("Metadata", func() {
	var m *machine
	node := func(name string) string { return filepath.Join(m.dev, name) }
	create := func(name string) {
		GinkgoHelper()
		Expect(os.WriteFile(node(name), []byte("before"), 0o644)).To(Succeed())
	}
	// write is what a commit does.
	write := func(name string) {
		GinkgoHelper()
		f, err := os.OpenFile(node(name), os.O_RDWR, 0)
		Expect(err).NotTo(HaveOccurred())
		_, err = f.WriteAt([]byte("after"), 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(f.Close()).To(Succeed())
	}

	// null lets the handles of fanotify be tried, where the file system of the test and its user
	// have them.
	for _, null := range []string{"", "null"} {
		It("reports physical volumes that were written, whatever watches: "+map[string]string{"": "inotify", "null": "fanotify"}[null], func() {
			m = newMachine("dev/" + null)
			create("sda")
			create("sdb")
			Expect(os.Symlink("sdb", node("link"))).To(Succeed())
			m.watcher.PhysicalVolumes([]string{node("sda"), node("link")})
			first := []string{}
			for range 2 {
				first = append(first, m.next(Metadata).Path)
			}
			Expect(first).To(ConsistOf(node("sda"), node("link")))
			Expect(m.status(Metadata)).To(HaveField("Watching", true))
			known := m.status(Metadata).Why == ""
			Expect(known || null == "" || unix.Geteuid() != 0).To(BeTrue(), m.status(Metadata).Why)

			write("sda")
			by := m.expect(Metadata, node("sda"))
			if known {
				Expect(by).To(HaveField("Own", true))
			} else {
				Expect(by).To(BeNil())
			}
			write("sdb")
			m.expect(Metadata, node("link"))

			By("not what is read, nor what is no physical volume any more")
			_, err := os.ReadFile(node("link"))
			Expect(err).NotTo(HaveOccurred())
			m.watcher.PhysicalVolumes([]string{node("link")})
			Eventually(m.watcher.metadata.nodes).Should(ConsistOf(node("link")))
			write("sda")
			write("sdb")
			Expect(m.next(Metadata).Path).To(Equal(node("link")))
		})

		It("follows a device that goes and comes back: "+null, func() {
			m = newMachine("dev/" + null)
			create("sda")
			m.watcher.PhysicalVolumes([]string{node("sda"), node("missing")})
			m.expect(Metadata, node("sda"))
			Eventually(func() Status { return m.status(Metadata) }).Should(Equal(Status{
				Source: Metadata, Watching: true, Why: "not there, and watched when they are: " + node("missing"),
			}))

			Expect(os.Rename(node("sda"), node("old"))).To(Succeed())
			create("sda")
			m.watcher.devices.take(uevent{action: "add", subsystem: "block", name: "sda"})
			m.expect(Metadata, node("sda"))
			write("sda")
			m.expect(Metadata, node("sda"))
			create("missing")
			m.expect(Metadata, node("missing"))
		})
	}
})

// nodes are the physical volumes that are watched.
func (m *metadata) nodes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var nodes []string
	for node := range m.volumes {
		nodes = append(nodes, node)
	}
	return nodes
}
