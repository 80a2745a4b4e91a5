package slicefs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

func TestSlicefs(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "slicefs")
}

const mib = 1 << 20

var _ = Describe("slices", func() {
	var dir, file string
	var data []byte
	var x *format.Index
	var m *Mounted

	mount := func(slice int64, changed ...int) {
		GinkgoHelper()
		device, err := blockcopy.OpenSource(file, "", int64(len(data)))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(device.Close)
		x = &format.Index{Layout: format.Layout{Size: int64(len(data)), Slice: slice}, Moments: []int64{1}, Made: 2}
		x.Present = x.All()
		x.When, x.Digests = make([]uint32, len(x.Present)), make([]uint64, len(x.Present))
		for at := range x.Present {
			if !slices.Contains(changed, at) {
				x.Digests[at] = sum(x, data, at)
			}
		}
		m, err = Mount(filepath.Join(dir, "mount"), Volume{Device: device, Index: x, VolumeYAML: []byte("a"), Changed: changed})
		Expect(err).NotTo(HaveOccurred())
	}
	path := func(at int) string { return filepath.Join(dir, "mount", x.Path(at)) }
	digests := func() ([]byte, error) { return os.ReadFile(filepath.Join(dir, "mount", "volume", "digests")) }

	BeforeEach(func() {
		if os.Geteuid() != 0 {
			Skip("needs root to mount")
		}
		dir = GinkgoT().TempDir()
		file = filepath.Join(dir, "device")
		data = make([]byte, 38*mib+5)
		_, _ = rand.NewChaCha8([32]byte{4}).Read(data)
		Expect(os.WriteFile(file, data, 0o600)).To(Succeed())
	})

	DescribeTable("are read by many at once, in any order, and digests wait for them", func(slice int64) {
		all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}[:(38*mib+5+slice-1)/slice]
		mount(slice, all...)
		got := make(chan []byte, 1)
		go func() {
			b, _ := digests()
			got <- b
		}()
		// All are open before the first is read, the last one first.
		var files []*os.File
		for _, at := range all {
			f, err := os.Open(path(at))
			Expect(err).NotTo(HaveOccurred())
			files = append(files, f)
		}
		Consistently(got, "200ms").ShouldNot(Receive())
		slices.Reverse(files)
		read := make(chan bool, len(files))
		for i, f := range files {
			go func() {
				b, err := io.ReadAll(f)
				at := len(all) - 1 - i
				offset := x.Offset(at)
				read <- err == nil && bytes.Equal(b, data[offset:offset+x.Length(at)])
				_ = f.Close()
			}()
		}
		for range files {
			Eventually(read, "30s").Should(Receive(BeTrue()))
		}
		want := make([]byte, x.DigestsSize())
		Eventually(got, "30s").Should(Receive(Not(BeNil())))
		served, err := digests()
		Expect(err).NotTo(HaveOccurred())
		Expect(m.Read()).To(BeEquivalentTo(len(data)))
		Expect(m.Close()).To(Succeed())
		for at := range all {
			Expect(x.Digests[at]).To(Equal(sum(x, data, at)))
		}
		Expect(x.ReadDigests(want, 0)).To(Equal(len(want)))
		Expect(served).To(Equal(want))
	},
		Entry("of 4 MiB", int64(4*mib)),
		Entry("of 16 MiB, which pass in windows", int64(16*mib)),
	)

	It("fail altogether when one cannot be read, or is not what it was", func() {
		mount(4*mib, 9)
		Expect(os.ReadFile(path(1))).To(Equal(data[4*mib : 8*mib]))
		Expect(os.WriteFile(file, append(data[:mib:mib], data[mib+1:]...), 0o600)).To(Succeed())
		_, err := os.ReadFile(path(0))
		Expect(err).To(HaveOccurred())
		Expect(m.Err()).To(MatchError(ErrDigest))
		Expect(m.Failed()).To(BeClosed())
		_, err = digests()
		Expect(err).To(HaveOccurred())
		Expect(m.Close()).To(Succeed())
	})

	It("do not keep a reader of digests waiting for what nobody reads", func() {
		mount(4*mib, 3)
		m.tree.mu.Lock()
		m.tree.patience = 100 * time.Millisecond
		m.tree.mu.Unlock()
		_, err := digests()
		Expect(err).To(HaveOccurred())
		Expect(m.Err()).To(MatchError(ContainSubstring("restic did not read the changed slice 0000000000000000/0000000000c00000")))
		Expect(m.Close()).To(Succeed())
	})

	It("are unmounted although somebody has one open", func() {
		mount(4*mib, 3)
		f, err := os.Open(path(3))
		Expect(err).NotTo(HaveOccurred())
		closed := make(chan error, 1)
		go func() { closed <- m.Close() }()
		Eventually(func() ([]os.DirEntry, error) { return os.ReadDir(filepath.Join(dir, "mount")) }, "5s").Should(BeEmpty())
		_, err = f.Read(make([]byte, 10))
		Expect(err).To(HaveOccurred())
		Expect(f.Close()).To(Succeed())
		Eventually(closed, "15s").Should(Receive(Succeed()))
	})
})

// sum is the digest of a slice.
func sum(x *format.Index, data []byte, at int) uint64 {
	return xxhash.Sum64(data[x.Offset(at) : x.Offset(at)+x.Length(at)])
}
