package fakehost_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestFakeHost(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "fake host")
}
