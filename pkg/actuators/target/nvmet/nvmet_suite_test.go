package nvmet

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestNVMet(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "nvmet actuator")
}
