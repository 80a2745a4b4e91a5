package qemuimg

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestQemuimg(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "qemu-img")
}
