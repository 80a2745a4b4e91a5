package nodespec_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestNodespec(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "nodespec")
}
