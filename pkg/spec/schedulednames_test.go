package spec_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

const hour = time.Hour

// dnsLabel is what names of objects are.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// scheduleOf is a schedule by its name, of some Volumes by name; of none: by labels.
func scheduleOf(name string, volumes ...string) spec.SnapshotSchedule {
	s := spec.SnapshotSchedule{Metadata: spec.Metadata{Name: name}, Spec: spec.SnapshotScheduleSpec{Volumes: volumes}}
	if volumes == nil {
		s.Spec.Selector = &spec.LabelSelector{}
	}
	return s
}

// drawName draws the name of an object: short ones, some that begin the same, and all lengths.
func drawName(t *rapid.T, what string) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"a", "a-b", "b", "b-c", "a--b", strings.Repeat("a", 36) + "-b", strings.Repeat("a", 46), strings.Repeat("a-", 31) + "a"}),
		rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`),
		rapid.Custom(func(t *rapid.T) string {
			return strings.Repeat("a", rapid.IntRange(30, 61).Draw(t, "n")) + rapid.StringMatching(`-?[ab]`).Draw(t, "end")
		}),
	).Filter(dnsLabel.MatchString).Draw(t, what)
}

func drawMoment(t *rapid.T) time.Time {
	zone := time.FixedZone("", 60*rapid.IntRange(-12*60, 14*60).Draw(t, "zone"))
	return time.Unix(rapid.Int64Range(0, 253402300799).Draw(t, "moment"), 0).In(zone)
}

func drawScheduleOf(t *rapid.T, volume string) spec.SnapshotSchedule {
	name := drawName(t, "schedule")
	return rapid.SampledFrom([]spec.SnapshotSchedule{scheduleOf(name), scheduleOf(name, volume), scheduleOf(name, volume, "other")}).Draw(t, "kind")
}

var _ = Describe("The names of scheduled snapshots", func() {
	moment := time.Date(2026, 11, 29, 2, 35, 0, 0, time.FixedZone("", 3600))

	DescribeTable("have the schedule, the Volume unless there is one by name, and the moment in UTC",
		func(s spec.SnapshotSchedule, volume, want string) {
			Expect(s.SnapshotName(volume, moment)).To(Equal(want))
			Expect(s.MayHave(want)).To(BeTrue())
		},
		Entry("of one Volume", scheduleOf("db-hourly", "db"), "db", "db-hourly-20261129t013500z"),
		Entry("of two Volumes", scheduleOf("hourly", "db", "web"), "db", "hourly-db-20261129t013500z"),
		Entry("of labels", scheduleOf("hourly"), "db", "hourly-db-20261129t013500z"),
		Entry("as long as may be", scheduleOf(strings.Repeat("a", 46), "db"), "db", strings.Repeat("a", 46)+"-20261129t013500z"),
		Entry("too long", scheduleOf(strings.Repeat("a", 47), "db"), "db", strings.Repeat("a", 37)+"-11eaed93-20261129t013500z"),
		Entry("cut behind a hyphen", scheduleOf(strings.Repeat("a", 36)+"-"+strings.Repeat("b", 20), "db"), "db", strings.Repeat("a", 36)+"-528ca492-20261129t013500z"),
	)

	It("are names of Snapshots, which say when and by which schedule", func() {
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			volume, at := drawName(t, "volume"), drawMoment(t)
			s := drawScheduleOf(t, volume)
			name := s.SnapshotName(volume, at)
			if !dnsLabel.MatchString(name) {
				t.Fatalf("%q is no name", name)
			}
			if read, is := spec.ScheduledAt(name); !is || !read.Equal(at) || read.Location() != time.UTC {
				t.Fatalf("%q is of %v, but read as of %v", name, at, read)
			}
			if !s.MayHave(name) {
				t.Fatalf("schedule %s disowns %q", s.Metadata.Name, name)
			}
		})
	})

	It("are different for different Volumes and moments", func() {
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			volumes := []string{drawName(t, "one"), drawName(t, "two")}
			moments := []time.Time{drawMoment(t), drawMoment(t)}
			s := rapid.SampledFrom([]spec.SnapshotSchedule{scheduleOf("x"), scheduleOf(drawName(t, "schedule")), scheduleOf("x", volumes...)}).Draw(t, "schedule")
			names := map[string]bool{}
			pairs := 0
			for _, v := range slices.Compact(volumes) {
				for i, at := range moments {
					if i == 0 || !at.Equal(moments[0]) {
						names[s.SnapshotName(v, at)] = true
						pairs++
					}
				}
			}
			if len(names) != pairs {
				t.Fatalf("%d names for %d snapshots: %v", len(names), pairs, names)
			}
		})
	})

	DescribeTable("are not those of others",
		func(s spec.SnapshotSchedule, name string) { Expect(s.MayHave(name)).To(BeFalse()) },
		Entry("no moment", scheduleOf("db"), "db-nightly"),
		Entry("another schedule", scheduleOf("db"), "web-20261129t013500z"),
		Entry("a schedule that begins the same", scheduleOf("db"), "dba-20261129t013500z"),
		Entry("nothing but a moment", scheduleOf("db"), "20261129t013500z"),
		Entry("a long one, of another checksum's length", scheduleOf(strings.Repeat("a", 47)), strings.Repeat("a", 37)+"-11eaed9-20261129t013500z"),
	)

	DescribeTable("have a moment that is one",
		func(name string) {
			_, is := spec.ScheduledAt(name)
			Expect(is).To(BeFalse())
		},
		Entry(nil, ""), Entry(nil, "db"), Entry(nil, "20261129t013500z"), Entry(nil, "-20261129t013500z"), Entry(nil, "db20261129t013500z"),
		Entry(nil, "db-20261329t013500z"), Entry(nil, "db-20261129t253500z"), Entry(nil, "db-20261129t013500"), Entry(nil, "db-20261129T013500Z"),
		Entry(nil, "db-20260229t013500z"), Entry(nil, "db-2026112 t013500z"), Entry(nil, "db-20261129t013560z"),
	)
})

// FuzzScheduledAt checks that a moment that is read is written the same.
func FuzzScheduledAt(f *testing.F) {
	for _, seed := range []string{"", "db-20261129t013500z", "a-00010101t000000z", "db-20261129t0135.0z", "db-99991231t235959z", "-20261129t013500z", strings.Repeat("a", 46) + "-20240229t000000z"} {
		f.Add("db", seed)
		f.Add(strings.Repeat("a", 47), seed)
	}
	f.Fuzz(func(t *testing.T, schedule, name string) {
		at, is := spec.ScheduledAt(name)
		s := scheduleOf(schedule, "db")
		if !is {
			if s.MayHave(name) {
				t.Errorf("%q has no moment, and is said to be of schedule %q", name, schedule)
			}
			return
		}
		if !strings.HasSuffix(scheduleOf("db", "db").SnapshotName("db", at), name[len(name)-len("-20060102t150405z"):]) {
			t.Errorf("%q was read as %v", name, at)
		}
		if made := s.SnapshotName("db", at); schedule != "" && !s.MayHave(made) {
			t.Errorf("schedule %q disowns %q", schedule, made)
		}
	})
}
