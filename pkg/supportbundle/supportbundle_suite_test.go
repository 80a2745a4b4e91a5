package supportbundle_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestSupportBundle(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "supportbundle")
}
