package schedule_test

import (
	"flag"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have none

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/schedule"
)

// What fails is printed; files of it would stay in the tree.
var _ = flag.Set("rapid.nofailfile", "true")

func TestSchedule(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "schedule")
}

func parse(expr, zone string) schedule.Schedule {
	GinkgoHelper()
	location, err := time.LoadLocation(zone)
	Expect(err).NotTo(HaveOccurred())
	s, err := schedule.Parse(expr, location)
	Expect(err).NotTo(HaveOccurred())
	return s
}

func moment(text string) time.Time {
	GinkgoHelper()
	t, err := time.Parse("2006-01-02 15:04:05 -0700", text)
	if err != nil {
		t, err = time.Parse("2006-01-02 15:04", text)
	}
	Expect(err).NotTo(HaveOccurred())
	return t.UTC()
}
