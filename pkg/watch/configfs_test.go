package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Configfs", func() {
	It("reports what is made and removed, in directories that are made too", func() {
		m := newMachine("config/target/core", "config/target/iscsi", "config/nvmet/subsystems")
		Expect(m.status(Configfs)).To(And(HaveField("Watching", true), HaveField("Why", ContainSubstring("who changed it is unknown"))))

		m.mkdir("target/iscsi/iqn.2003-01.org.example:a/tpgt_1/lun/lun_0")
		m.expect(Configfs, m.path("target/iscsi/iqn.2003-01.org.example:a"))
		link := "target/iscsi/iqn.2003-01.org.example:a/tpgt_1/lun/lun_0/backstore"
		// The watch of lun_0 may follow that of its parents.
		Eventually(func() bool { return m.watcher.configfs.isWatching(filepath.Dir(link)) }).Should(BeTrue())
		Expect(os.Symlink(m.path("target/core"), m.path(link))).To(Succeed())
		m.expect(Configfs, m.path(link))
		Expect(os.Remove(m.path(link))).To(Succeed())
		m.expect(Configfs, m.path(link))
		Expect(os.Remove(m.path(filepath.Dir(link)))).To(Succeed())
		m.expect(Configfs, m.path(filepath.Dir(link)))

		m.mkdir("nvmet/subsystems/nqn")
		m.expect(Configfs, m.path("nvmet/subsystems/nqn"))
	})

	It("reports what is written, without fanotify too, but not what is read", func() {
		attribute := "target/iscsi/iqn/tpgt_1/attrib/authentication"
		m := newMachine("config/target/iscsi/iqn/tpgt_1/attrib", "config/target/iscsi/iqn/tpgt_1/statistics")
		Expect(os.WriteFile(m.path(attribute), []byte("1"), 0o644)).To(Succeed())
		m.expect(Configfs, m.path(attribute))
		m.settle()
		Expect(os.WriteFile(m.path(attribute), []byte("0"), 0o644)).To(Succeed())
		m.expect(Configfs, m.path(attribute))
		m.settle()

		_, err := os.ReadFile(m.path(attribute))
		Expect(err).NotTo(HaveOccurred())
		_, err = os.ReadDir(m.path("target/iscsi/iqn/tpgt_1"))
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(m.path("target/iscsi/iqn/tpgt_1/statistics/busy"), []byte("0"), 0o644)).To(Succeed())
		m.none()
	})

	It("misses nothing below a directory that is made while others are made in it", func() {
		m := newMachine("config/target/iscsi")
		const targets, groups = 40, 4
		var makers sync.WaitGroup
		for i := range targets {
			makers.Go(func() {
				for j := range groups {
					_ = os.MkdirAll(m.path(fmt.Sprintf("target/iscsi/iqn%d/tpgt_%d/lun/lun_0", i, j)), 0o755)
				}
			})
		}
		makers.Wait()
		for i := range targets {
			for j := range groups {
				Eventually(func() bool {
					return m.watcher.configfs.isWatching(fmt.Sprintf("target/iscsi/iqn%d/tpgt_%d/lun/lun_0", i, j))
				}).Should(BeTrue(), "%d %d", i, j)
			}
		}
		By("and forgets what is gone")
		Expect(os.RemoveAll(m.path("target/iscsi"))).To(Succeed())
		Eventually(m.watcher.configfs.watching).Should(Equal(1))
	})

	It("notices subsystems that come, go and come back", func() {
		m := newMachine()
		Expect(m.status(Configfs)).To(Equal(Status{Source: Configfs, Watching: true}))
		for range 2 {
			m.mkdir("target/core/iblock_0")
			m.expect(Configfs, m.path("target"))
			Eventually(func() bool { return m.watcher.configfs.isWatching("target/core/iblock_0") }).Should(BeTrue())
			m.mkdir("target/core/iblock_0/data")
			m.expect(Configfs, m.path("target/core/iblock_0/data"))
			Expect(os.RemoveAll(m.path("target"))).To(Succeed())
			m.expect(Configfs, m.path("target"))
			Eventually(m.watcher.configfs.watching).Should(BeZero())
		}
	})

	It("says that anything may have changed when events were lost", func() {
		m := newMachine("config/target/core")
		c := m.watcher.configfs
		c.mu.Lock() // whoever reads waits for it
		for i := range limitNow("fs.inotify.max_queued_events") {
			path := m.path(fmt.Sprintf("target/core/%d", i%2))
			Expect(os.Mkdir(path, 0o755)).To(Succeed())
			Expect(os.Remove(path)).To(Succeed())
		}
		m.mkdir("target/core/unseen")
		c.mu.Unlock()
		m.expect(Configfs, "")
		Expect(c.isWatching("target/core/unseen")).To(BeTrue())
	})

	It("says which limit is too low, and to what to set it", func() {
		m := newMachine("config/target/core")
		c := m.watcher.configfs
		c.mu.Lock()
		c.unwatched, c.limit = 3, limitNow(watchLimit)
		c.report()
		c.mu.Unlock()
		Expect(m.status(Configfs)).To(And(HaveField("Watching", false),
			HaveField("Why", MatchRegexp(`3 directories are not watched: the limit fs.inotify.max_user_watches=\d+ is reached, set it to \d+ with sysctl`))))
		c.mu.Lock()
		c.limit-- // as if it had been raised since
		c.mu.Unlock()
		c.changed.raise()
		m.expect(Configfs, "")
		Eventually(func() Status { return m.status(Configfs) }).Should(HaveField("Watching", true))
	})
})

// isWatching is true if a directory is watched.
func (c *configfs) isWatching(directory string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range c.paths {
		if path == directory {
			return true
		}
	}
	return false
}

// watching is how many directories are watched.
func (c *configfs) watching() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.paths)
}
