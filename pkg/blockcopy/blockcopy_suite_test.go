package blockcopy

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
)

func TestBlockcopy(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "blockcopy")
}

// Every spec gives back its memory, its descriptors and its goroutines.
var _ = BeforeEach(func() {
	files := openFiles()
	ignore := goleak.IgnoreCurrent()
	DeferCleanup(func() {
		Expect(mapped.Load()).To(BeZero(), "mapped memory")
		Expect(openFiles()).To(Equal(files), "open files")
		Eventually(func() error { return goleak.Find(ignore) }).WithTimeout(time.Minute).Should(Succeed())
	})
})

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	Expect(err).NotTo(HaveOccurred())
	return len(entries)
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// extent is a piece of random content.
type extent struct{ off, len int64 }

// noise is random and has no zero. Made once, because that takes long under -race.
var noise = func() []byte {
	b := make([]byte, mib)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	for i := range b {
		b[i] |= 1
	}
	return b
}()

// content is size bytes of zeroes with random extents in them; another seed has
// other bytes everywhere.
func content(seed uint64, size int64, extents ...extent) []byte {
	b := make([]byte, size)
	shift := int64(seed * 4099 % mib)
	for _, x := range extents {
		for off, end := x.off, x.off+x.len; off < end; {
			off += int64(copy(b[off:end], noise[(off+shift)%mib:]))
		}
	}
	return b
}

// dense is random content without a zero.
func dense(seed uint64, size int64) []byte { return content(seed, size, extent{0, size}) }

// file makes a file with holes where the content is zero.
func file(name string, b []byte) string {
	path := filepath.Join(GinkgoT().TempDir(), name)
	f, err := os.Create(path)
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(f.Close()).To(Succeed()) }()
	Expect(f.Truncate(int64(len(b)))).To(Succeed())
	for off := 0; off < len(b); off += 4096 {
		part := b[off:min(off+4096, len(b))]
		if !isZero(part) {
			_, err := f.WriteAt(part, int64(off))
			Expect(err).NotTo(HaveOccurred())
		}
	}
	return path
}

func read(path string) []byte {
	b, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	return b
}

// loop makes a loop device with the content, or skips the spec where none can be
// made.
func loop(name string, b []byte) string {
	if _, err := os.Stat("/dev/loop-control"); err != nil || os.Getuid() != 0 {
		Skip("loop devices need root and /dev/loop-control")
	}
	backing := file(name, b)
	out, err := exec.Command("losetup", "--find", "--show", backing).Output()
	if err != nil {
		Skip("no loop device is to be had: " + err.Error())
	}
	dev := strings.TrimSpace(string(out))
	DeferCleanup(func() { Expect(exec.Command("losetup", "--detach", dev).Run()).To(Succeed()) })
	return dev
}
