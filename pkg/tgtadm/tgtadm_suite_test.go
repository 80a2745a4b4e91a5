package tgtadm

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestTgtadm(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "tgtadm")
}
