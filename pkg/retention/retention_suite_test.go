package retention_test

import (
	"flag"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What fails is printed; files of it would stay in the tree.
var _ = flag.Set("rapid.nofailfile", "true")

func TestRetention(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "retention")
}
