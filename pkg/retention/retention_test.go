package retention_test

import (
	"math/rand/v2"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/retention"
)

// ago is a snapshot of so many hours before now, which is noon.
func ago(hours int) retention.Snapshot {
	return retention.Snapshot{Time: now.Add(-time.Duration(hours) * time.Hour)}
}

func incomplete(s retention.Snapshot) retention.Snapshot {
	s.Incomplete = true
	return s
}

func held(s retention.Snapshot, why string) retention.Snapshot {
	s.Held = why
	return s
}

var _ = Describe("Apply", func() {
	type history = []retention.Snapshot
	type reasons = [][]string
	DescribeTable("says why each snapshot is kept", func(keep retention.Keep, snapshots history, expected reasons) {
		var got reasons
		for _, v := range retention.Apply(keep, snapshots, now) {
			Expect(v.Keep()).To(Equal(len(v.Reasons()) > 0))
			got = append(got, v.Reasons())
		}
		Expect(got).To(Equal(expected))
	},
		Entry("none", retention.Keep{Last: 1}, history{}, reasons(nil)),
		Entry("in any order", retention.Keep{Last: 2}, history{ago(3), ago(1), ago(2)},
			reasons{nil, {"last snapshot", "newest complete"}, {"last snapshot"}}),
		Entry("the newest of each period that has any", retention.Keep{Daily: 2}, history{ago(1), ago(2), ago(24 * 9), ago(24*9 + 1), ago(24 * 10)},
			reasons{{"daily snapshot", "newest complete"}, nil, {"daily snapshot"}, nil, nil}),
		Entry("the oldest while there are not enough periods", retention.Keep{Last: 1, Daily: 2}, history{ago(1), ago(2), ago(3)},
			reasons{{"last snapshot", "daily snapshot", "newest complete"}, nil, {"oldest snapshot"}}),
		Entry("for several reasons", retention.Keep{Last: 1, Hourly: 1, Daily: 1, Weekly: 1, Monthly: 1, Yearly: 1}, history{ago(0)},
			reasons{{"last snapshot", "hourly snapshot", "daily snapshot", "weekly snapshot", "monthly snapshot", "yearly snapshot", "newest complete"}}),
		Entry("everything without a policy", retention.Keep{}, history{ago(1), ago(2), incomplete(ago(3))},
			reasons{{"keep is empty", "newest complete"}, {"keep is empty"}, {"keep is empty"}}),
		Entry("everything with a policy that is refused", retention.Keep{Last: -1, Daily: 1}, history{ago(1), ago(2)},
			reasons{{"keep is empty", "newest complete"}, {"keep is empty"}}),
		Entry("one from the future, which takes nobody's place", retention.Keep{Last: 1, Yearly: 1}, history{ago(-1), ago(1), ago(2)},
			reasons{{"time is in the future"}, {"last snapshot", "yearly snapshot", "newest complete"}, nil}),
		Entry("only ones from the future", retention.Keep{Last: 1}, history{ago(-1), ago(-2)},
			reasons{{"time is in the future"}, {"time is in the future"}}),
		Entry("one of this very moment is not from the future", retention.Keep{Last: 1}, history{ago(0), ago(1)},
			reasons{{"last snapshot", "newest complete"}, nil}),
		Entry("an incomplete one takes nobody's place", retention.Keep{Last: 1}, history{incomplete(ago(1)), ago(2), ago(3)},
			reasons{{"incomplete, and no later one is complete"}, {"last snapshot", "newest complete"}, nil}),
		Entry("an incomplete one after which one is complete is not kept", retention.Keep{Last: 3}, history{ago(1), incomplete(ago(2)), ago(3)},
			reasons{{"last snapshot", "newest complete"}, nil, {"last snapshot"}}),
		Entry("incomplete ones while there is nothing else", retention.Keep{Last: 1}, history{incomplete(ago(1)), incomplete(ago(2))},
			reasons{{"incomplete, and no later one is complete"}, {"incomplete, and no later one is complete"}}),
		Entry("what is held, in its own words, besides its periods", retention.Keep{Last: 1, Daily: 1},
			history{held(ago(1), "not backed up yet"), held(ago(2), "base of the next backup"), held(incomplete(ago(3)), "being exported"), ago(4)},
			reasons{{"last snapshot", "daily snapshot", "newest complete", "not backed up yet"}, {"base of the next backup"}, {"being exported"}, nil}),
		Entry("of two of one time the later in the list", retention.Keep{Last: 1}, history{ago(1), ago(1)},
			reasons{nil, {"last snapshot", "newest complete"}}),
		Entry("by UTC days, whatever zone a time is written in", retention.Keep{Daily: 9},
			history{{Time: now.In(time.FixedZone("east", 13*3600))}, {Time: now.Add(-time.Hour).In(time.FixedZone("west", -11*3600))}, ago(24)},
			reasons{{"daily snapshot", "newest complete"}, nil, {"daily snapshot"}}),
	)

	It("refuses negative numbers by their name", func() {
		Expect(retention.Keep{Last: 1}.Validate()).To(Succeed())
		Expect(retention.Keep{Hourly: -1, Yearly: -2}.Validate()).To(MatchError("keep.hourly is -1: it must be 0 or more\nkeep.yearly is -2: it must be 0 or more"))
	})

	It("keeps the newest complete one, what is held, and what is from the future, whatever else there is", func() {
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			keep := drawKeep(t)
			snapshots := rapid.SliceOf(rapid.Custom(func(t *rapid.T) retention.Snapshot {
				return retention.Snapshot{
					Time:       now.Add(-time.Duration(rapid.IntRange(-100, 20000).Draw(t, "minutes")) * time.Minute),
					Incomplete: rapid.IntRange(0, 4).Draw(t, "incomplete") == 0,
					Held:       rapid.SampledFrom([]string{"", "", "", "in use"}).Draw(t, "held"),
				}
			})).Draw(t, "snapshots")
			verdicts := retention.Apply(keep, snapshots, now)
			newest, sum := -1, 0
			for i, s := range snapshots {
				if !verdicts[i].Keep() && (s.Held != "" || s.Time.After(now)) {
					t.Fatalf("%+v is removed", s)
				}
				counts := verdicts[i].Rules&(retention.Last|retention.Hourly|retention.Daily|retention.Weekly|retention.Monthly|retention.Yearly) != 0
				if counts && (s.Incomplete || s.Time.After(now)) {
					t.Fatalf("%+v counts in a period", s)
				}
				if counts {
					sum++
				}
				if !s.Incomplete && !s.Time.After(now) && (newest < 0 || !s.Time.Before(snapshots[newest].Time)) {
					newest = i
				}
			}
			if newest >= 0 && verdicts[newest].Rules&retention.Newest == 0 {
				t.Fatalf("%+v is not kept as the newest", snapshots[newest])
			}
			if most := keep.Last + keep.Hourly + keep.Daily + keep.Weekly + keep.Monthly + keep.Yearly; sum > most {
				t.Fatalf("%d are kept for %+v", sum, keep)
			}
		})
	})

	It("keeps nothing that it gave up when it is asked again, and removes nothing more", func() {
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			keep := drawKeep(t)
			keep.Last++ // not empty: that keeps everything
			var left []retention.Snapshot
			for _, minutes := range rapid.SliceOf(rapid.IntRange(0, 200000)).Draw(t, "minutes") {
				left = append(left, retention.Snapshot{Time: now.Add(-time.Duration(minutes) * time.Minute)})
			}
			var kept []retention.Snapshot
			for i, v := range retention.Apply(keep, left, now) {
				if v.Keep() {
					kept = append(kept, left[i])
				}
			}
			for i, v := range retention.Apply(keep, kept, now) {
				if !v.Keep() {
					t.Fatalf("%s is removed by the second answer only", kept[i].Time)
				}
			}
		})
	})
})

func drawKeep(t *rapid.T) retention.Keep {
	number := func(name string) int { return rapid.IntRange(0, 5).Draw(t, name) }
	return retention.Keep{
		Last: number("last"), Hourly: number("hourly"), Daily: number("daily"),
		Weekly: number("weekly"), Monthly: number("monthly"), Yearly: number("yearly"),
	}
}

// BenchmarkApply judges 100,000 snapshots of 1,000 volumes.
func BenchmarkApply(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	volumes := make([][]retention.Snapshot, 1000)
	for i := range volumes {
		for _, at := range history(random) {
			volumes[i] = append(volumes[i], retention.Snapshot{Time: at})
		}
	}
	keep := retention.Keep{Last: 3, Hourly: 24, Daily: 14, Weekly: 8, Monthly: 12, Yearly: 3}
	kept := 0
	for b.Loop() {
		for _, snapshots := range volumes {
			for _, v := range retention.Apply(keep, snapshots, now) {
				if v.Keep() {
					kept++
				}
			}
		}
	}
	if kept == 0 {
		b.Fatal("nothing is kept")
	}
}
