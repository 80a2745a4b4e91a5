package lio

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestLIO(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "lio actuator")
}
