package retention_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/retention"
)

// volumes is how many random histories restic and Apply are compared on; each has 100 snapshots.
var volumes = flag.Int("volumes", 30, "number of random histories that are compared with restic's answer")

// now is after all snapshots of the histories.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

var _ = Describe("the answer of restic forget", func() {
	It("is that of Apply on random histories", func() {
		random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), 1))
		r := newRepository()
		histories := map[string][]retention.Snapshot{}
		for i := range *volumes {
			volume := "v" + strconv.Itoa(i)
			for _, at := range history(random) {
				histories[volume] = append(histories[volume], retention.Snapshot{Time: at})
				r.add(volume, at)
			}
		}
		for _, keep := range policies(random) {
			without := retention.Newest
			if r.isOld {
				without |= retention.Oldest
			}
			ours, theirs := reasonsOf(keep, histories, without), r.forget(keep)
			Expect(len(theirs)).To(BeNumerically("<", 100**volumes))
			Expect(differences(ours, theirs)).To(BeEmpty(), "seed %d, %+v", GinkgoRandomSeed(), keep)
		}
	})
})

// differences lists the first few snapshots that are not kept by both for the same reasons.
func differences(ours, theirs map[string][]string) []string {
	var found []string
	for name := range ours {
		if !slices.Equal(ours[name], theirs[name]) {
			found = append(found, fmt.Sprintf("%s: %q, restic %q", name, ours[name], theirs[name]))
		}
	}
	for name := range theirs {
		if ours[name] == nil {
			found = append(found, fmt.Sprintf("%s: not kept, restic %q", name, theirs[name]))
		}
	}
	slices.Sort(found)
	return found[:min(len(found), 10)]
}

// reasonsOf is Apply's answer without the rules that restic does not have, by volume and time.
func reasonsOf(keep retention.Keep, histories map[string][]retention.Snapshot, without retention.Rule) map[string][]string {
	kept := map[string][]string{}
	for volume, snapshots := range histories {
		for i, v := range retention.Apply(keep, snapshots, now) {
			if v.Rules &^= without; v.Keep() {
				kept[nameOf(volume, snapshots[i].Time)] = v.Reasons()
			}
		}
	}
	return kept
}

func nameOf(volume string, at time.Time) string {
	return volume + " " + at.UTC().Format(time.RFC3339Nano)
}

// forget returns why restic would keep which snapshots, by volume and time.
func (r *repository) forget(keep retention.Keep) map[string][]string {
	GinkgoHelper()
	args := []string{"forget", "--dry-run", "--json", "--group-by", "tags"}
	for name, number := range map[string]int{
		"last": keep.Last, "hourly": keep.Hourly, "daily": keep.Daily, "weekly": keep.Weekly, "monthly": keep.Monthly, "yearly": keep.Yearly,
	} {
		if number > 0 {
			args = append(args, fmt.Sprintf("--keep-%s=%d", name, number))
		}
	}
	var groups []struct {
		Tags    []string `json:"tags"`
		Reasons []struct {
			Snapshot struct {
				Time time.Time `json:"time"`
			} `json:"snapshot"`
			Matches []string `json:"matches"`
		} `json:"reasons"`
	}
	Expect(json.Unmarshal(r.run(args...), &groups)).To(Succeed())
	Expect(groups).To(HaveLen(*volumes))
	kept := map[string][]string{}
	for _, g := range groups {
		for _, reason := range g.Reasons {
			matches := slices.DeleteFunc(reason.Matches, func(m string) bool { return strings.HasPrefix(m, "oldest ") })
			if len(matches) < len(reason.Matches) {
				matches = append(matches, "oldest snapshot") // it says for each line, which is of no use
			}
			kept[nameOf(g.Tags[0], reason.Snapshot.Time)] = matches
		}
	}
	return kept
}

// policies returns one for each line of Keep alone, and mixed ones.
func policies(random *rand.Rand) []retention.Keep {
	some := func() int { return 1 + random.IntN(6) }
	all := []retention.Keep{{Last: some()}, {Hourly: some()}, {Daily: some()}, {Weekly: some()}, {Monthly: some()}, {Yearly: some()}}
	number := func() int { return max(0, random.IntN(12)-3) }
	for len(all) < 10 {
		all = append(all, retention.Keep{
			Last: some(), Hourly: 4 * number(), Daily: 2 * number(), Weekly: number(), Monthly: number(), Yearly: number(),
		})
	}
	return all
}

// history returns 100 different times: regular ones with pauses, any, or close to the turn of a year,
// where weeks belong to another year than their days.
func history(random *rand.Rand) []time.Time {
	var times []time.Time
	at := now.Add(-time.Duration(random.Int64N(int64(48 * time.Hour))))
	step := []time.Duration{time.Minute, 15 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}[random.IntN(5)]
	way := random.IntN(3)
	used := map[time.Time]bool{}
	for len(times) < 100 {
		switch way {
		case 0:
			if at = at.Add(-step); random.IntN(10) == 0 {
				at = at.Add(-step * time.Duration(random.IntN(50)))
			}
		case 1:
			at = now.Add(-time.Duration(random.Int64N(int64(5 * 365 * 24 * time.Hour))))
		default:
			at = time.Date(2015+random.IntN(11), 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.Int64N(int64(16*24*time.Hour))) - 8*24*time.Hour)
		}
		if !used[at] && at.Before(now) {
			used[at] = true
			times = append(times, at)
		}
	}
	random.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
	return times
}
