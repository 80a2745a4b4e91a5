package ondisk

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestOnDisk(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "ondisk")
}
