package pvscan

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestPvscan(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pvscan")
}
