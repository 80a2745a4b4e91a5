package unpack

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestUnpack(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "unpack")
}
