package blockdelta

import (
	"testing"

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
	DeferCleanup(func() { Expect(goleak.Find(ignore)).To(Succeed()) })
})

const (
	kib = 1 << 10
	mib = 1 << 20
)
