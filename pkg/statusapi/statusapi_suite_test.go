package statusapi_test

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// limit is how long anything here may take.
const limit = 20 * time.Second

func TestAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/statusapi")
}
