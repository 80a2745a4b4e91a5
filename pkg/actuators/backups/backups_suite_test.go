package backups_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestBackups(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/actuators/backups")
}
