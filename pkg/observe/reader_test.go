package observe

import (
	"io/fs"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// stuckFiles is a machine whose configfs does not answer until it is let go.
type stuckFiles struct {
	*recordedFiles
	letGo chan struct{}
}

func (f *stuckFiles) ReadDir(path string) ([]fs.DirEntry, error) {
	if path == ISCSIDir {
		<-f.letGo
	}
	return f.recordedFiles.ReadDir(path)
}

var _ = Describe("LIO that does not answer", func() {
	It("is unknown, and read again when it does", func(ctx SpecContext) {
		files := &stuckFiles{readRecording("testdata/lio_6.1.txt"), make(chan struct{})}
		r := reader[Targets]{of: func() (Targets, error) { return readLIO(files) }, patience: 10 * time.Millisecond}
		for range 2 {
			targets, err := r.read()
			Expect(err).To(MatchError(HavePrefix("configfs does not respond within 10ms")))
			Expect(targets).To(BeZero())
		}
		close(files.letGo)
		r.patience = time.Minute
		Eventually(ctx, func() error { _, err := r.read(); return err }).Should(Succeed())
		want, err := readLIO(files)
		Expect(err).NotTo(HaveOccurred())
		Expect(r.read()).To(Equal(want))
	}, SpecTimeout(10*time.Second))
})
