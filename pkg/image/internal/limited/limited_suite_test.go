package limited

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestLimited(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "limited")
}
