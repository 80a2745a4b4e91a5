package execute

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestExecute(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/reconcile/execute")
}
