package safepath

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestSafepath(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "safepath")
}
