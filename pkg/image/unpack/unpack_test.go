package unpack

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/image"
)

var _ = Describe("Unpack", func() {
	var (
		dir     string
		content []byte
	)
	tools := map[Compression][]string{
		Gzip: {"gzip", "-1", "-c"}, XZ: {"xz", "-0", "-c"}, Zstd: {"zstd", "-q", "-1", "-c"},
	}
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		r := rand.New(rand.NewPCG(3, 4))
		content = make([]byte, 3<<20+123)
		for i := range 300 << 10 {
			content[1<<20+i] = byte(r.IntN(256))
		}
	})
	compress := func(kind Compression, b []byte) *os.File {
		GinkgoHelper()
		plain, path := filepath.Join(dir, "plain"), filepath.Join(dir, "packed")
		Expect(os.WriteFile(plain, b, 0o600)).To(Succeed())
		out, err := exec.Command(tools[kind][0], append(tools[kind][1:], plain)...).Output()
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(path, out, 0o600)).To(Succeed())
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		return f
	}
	target := func() *os.File {
		GinkgoHelper()
		f, err := os.Create(filepath.Join(dir, "target"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		return f
	}

	for kind := range tools {
		It("undoes "+string(kind)+", with holes for zeroes", func(ctx SpecContext) {
			f := compress(kind, content)
			Expect(Detect(f)).To(Equal(kind))
			to := target()
			Expect(Unpack(ctx, f, kind, to, int64(len(content)), nil)).To(Equal(int64(len(content))))
			got, err := os.ReadFile(to.Name())
			Expect(err).NotTo(HaveOccurred())
			Expect(bytes.Equal(got, content)).To(BeTrue())
			var st unix.Stat_t
			Expect(unix.Fstat(int(to.Fd()), &st)).To(Succeed())
			Expect(st.Blocks * 512).To(BeNumerically("<", 1<<20))
		})

		It("stops a bomb of "+string(kind), func(ctx SpecContext) {
			f := compress(kind, make([]byte, 64<<20))
			st, err := f.Stat()
			Expect(err).NotTo(HaveOccurred())
			Expect(st.Size()).To(BeNumerically("<", 1<<20))
			_, err = Unpack(ctx, f, kind, target(), 1<<20, nil)
			Expect(err).To(MatchError(image.ErrTooLarge))
		})

		It("refuses "+string(kind)+" that is cut off, or damaged", func(ctx SpecContext) {
			f := compress(kind, content)
			st, err := f.Stat()
			Expect(err).NotTo(HaveOccurred())
			_, err = f.WriteAt([]byte("damage!"), st.Size()/2)
			Expect(err).NotTo(HaveOccurred())
			_, err = Unpack(ctx, f, kind, target(), 1<<30, nil)
			Expect(err).To(MatchError(image.ErrMalformed))
			f = compress(kind, content)
			Expect(f.Truncate(st.Size() / 2)).To(Succeed())
			_, err = Unpack(ctx, f, kind, target(), 1<<30, nil)
			Expect(err).To(MatchError(image.ErrMalformed))
		})

		It("stops "+string(kind)+" when it is no longer wanted", func(ctx SpecContext) {
			gone, cancel := context.WithCancelCause(ctx)
			why := errors.New("the object no longer exists")
			cancel(why)
			_, err := Unpack(gone, compress(kind, content), kind, target(), 1<<30, nil)
			Expect(err).To(MatchError(why))
			Expect(err).NotTo(MatchError(image.ErrRefused))
		})
	}

	It("takes what is not compressed for what it is", func() {
		for _, s := range []string{"", "\x1f", "QFI\xfb", "BZh91AY"} {
			Expect(Detect(bytes.NewReader([]byte(s)))).To(Equal(None))
		}
	})

	It("takes several streams in one file, as parallel compressors make them", func(ctx SpecContext) {
		f := compress(Gzip, content)
		b, err := os.ReadFile(f.Name())
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(f.Name(), append(b, b...), 0o600)).To(Succeed())
		Expect(Unpack(ctx, f, Gzip, target(), 1<<30, nil)).To(Equal(int64(2 * len(content))))
	})
})
