package blockdelta

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
)

func TestChanged(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "blockdelta")
}

// Nothing goes on after a spec.
var _ = BeforeEach(func() {
	ignore := goleak.IgnoreCurrent()
	DeferCleanup(func() {
		Eventually(func() error { return goleak.Find(ignore) }).WithTimeout(time.Minute).Should(Succeed())
	})
})

const (
	kib = 1 << 10
	mib = 1 << 20
)
