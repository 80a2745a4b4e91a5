package lvm

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestLVM(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "lvm actuator")
}
