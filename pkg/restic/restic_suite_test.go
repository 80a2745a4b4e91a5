package restic_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestRestic(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "restic")
}
