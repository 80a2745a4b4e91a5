package tgt

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestTGT(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/actuators/target/tgt")
}
