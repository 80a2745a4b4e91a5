package observe

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// slowFiles is a machine that looks at files only when it is let go.
type slowFiles struct {
	host.Files
	letGo chan struct{}
}

func (f slowFiles) ReadFile(path string) ([]byte, error) {
	<-f.letGo
	return f.Files.ReadFile(path)
}

var _ = Describe("Image files", func() {
	sum := strings.Repeat("0f", 32)
	var dir, image string
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		image = filepath.Join(dir, "golden.raw")
	})
	put := func(path, text string) {
		GinkgoHelper()
		Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
	}
	look := func() ImageFile { return readImageFiles(host.New(), []string{image})[image] }

	It("are complete with their checksum", func() {
		put(image, "12345")
		put(image+".sha256", sum+"  golden.raw\n")
		Expect(look()).To(Equal(ImageFile{Exists: true, Size: 5, SHA256: sum}))
		Expect(look().IsWritten()).To(BeTrue())
	})

	DescribeTable("are somebody's without one",
		func(beside func()) {
			put(image, "12345")
			beside()
			Expect(look()).To(Equal(ImageFile{Exists: true, Size: 5}))
			Expect(look().IsWritten()).To(BeFalse())
		},
		Entry("nothing is beside them", func() {}),
		Entry("no checksum", func() { put(image+".sha256", "hello\n") }),
		Entry("the checksum of another", func() { put(image+".sha256", sum+"  other.raw\n") }),
		Entry("something large", func() { put(image+".sha256", sum+"  golden.raw\n"+strings.Repeat("\n", 5000)) }),
		Entry("a directory", func() { Expect(os.Mkdir(image+".sha256", 0o700)).To(Succeed()) }),
	)

	It("that are no regular files are somebody's", func() {
		put(filepath.Join(dir, "other"), "12345")
		Expect(os.Symlink("other", image)).To(Succeed())
		put(image+".sha256", sum+"  golden.raw\n")
		Expect(look().Exists).To(BeTrue())
		Expect(look().IsWritten()).To(BeFalse())
	})

	It("may not be there, nor their directory", func() {
		Expect(look()).To(Equal(ImageFile{}))
		link := filepath.Join(dir, "link")
		Expect(os.Symlink(".", link)).To(Succeed())
		image = filepath.Join(link, "golden.raw")
		Expect(look()).To(Equal(ImageFile{}))
		image = filepath.Join(dir, "none", "golden.raw")
		Expect(look()).To(Equal(ImageFile{NoDirectory: true}))
	})

	It("may be where nothing can be", func() {
		put(filepath.Join(dir, "file"), "")
		image = filepath.Join(dir, "file", "golden.raw")
		Expect(look().Err).To(HaveOccurred())
		Expect(look().IsWritten()).To(BeFalse())
	})

	It("hold up nothing else when their file system does not answer", func() {
		put(image, "12345")
		put(image+".sha256", sum+"  golden.raw\n")
		slow := slowFiles{host.New(), make(chan struct{})}
		o := Observer{files: slow, images: reader[map[string]ImageFile]{patience: 10 * time.Millisecond, noAnswer: fileSystemNoAnswer}}
		Expect(o.readImages([]string{image})[image].Err).To(MatchError(HavePrefix("the file system of an image does not respond within")))
		close(slow.letGo)
		o.images.patience = time.Minute
		Eventually(func() bool { return o.readImages([]string{image})[image].IsWritten() }).Should(BeTrue())
	})
})
