package durable

import (
	"path/filepath"
	"testing"
	"unsafe"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

func TestDurable(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "durable")
}

var _ = Describe("What is written", func() {
	It("stays after a power cut, together with the name of its file and the directories that were made", func() {
		dir := GinkgoT().TempDir()
		above := watchDir(dir)
		Expect(Replace(filepath.Join(dir, "state", "identities.json"), []byte("{}\n"))).To(Succeed())
		Expect(above()).To(Equal([]string{"state", "opened"}))
		state := watchDir(filepath.Join(dir, "state"))
		Expect(Replace(filepath.Join(dir, "state", "identities.json"), []byte("{}\n"))).To(Succeed())
		Expect(state()).To(Equal([]string{"identities.json", "opened"}), "to be flushed, which nothing shows")
	})
})

// watchDir returns what returns the names that were made in a directory since, and "opened" each
// time that it was opened itself.
func watchDir(dir string) func() []string {
	GinkgoHelper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { _ = unix.Close(fd) })
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_CREATE|unix.IN_OPEN|unix.IN_ONLYDIR)
	Expect(err).NotTo(HaveOccurred())
	return func() (names []string) {
		var buffer [4096]byte
		n, _ := unix.Read(fd, buffer[:])
		for at := 0; at < n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buffer[at])) //nolint:gosec // as inotify(7) says
			name := unix.ByteSliceToString(buffer[at+unix.SizeofInotifyEvent : at+unix.SizeofInotifyEvent+int(event.Len)])
			switch {
			case event.Mask&unix.IN_OPEN != 0 && event.Mask&unix.IN_ISDIR != 0 && name == "":
				names = append(names, "opened")
			case event.Mask&unix.IN_MOVED_TO != 0, event.Mask&unix.IN_CREATE != 0 && event.Mask&unix.IN_ISDIR != 0:
				names = append(names, name)
			}
			at += unix.SizeofInotifyEvent + int(event.Len)
		}
		return names
	}
}
