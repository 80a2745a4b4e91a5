package metrics

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

var start = time.Unix(1_700_000_000, 0)

// every returns points of something of 1,000 bytes, some minutes apart.
func every(minutes int, used ...float64) []point {
	var points []point
	for i, u := range used {
		points = append(points, point{start.Add(time.Duration(i*minutes) * time.Minute), u, 1000})
	}
	return points
}

var _ = DescribeTable("The forecast", func(points []point, grows bool, seconds float64) {
	got, does := fullIn(points)
	Expect(does).To(Equal(grows))
	Expect(got).To(BeNumerically("~", seconds, seconds/1e9))
},
	Entry("of a line is exact", every(10, 100, 200, 300), true, 700./100*600),
	Entry("of a noisy line follows its trend", every(10, 100, 210, 290, 410, 490), true, 510/(980./10/600)),
	Entry("of what is full already is now", every(10, 800, 900, 1000), true, 0.),
	Entry("of what has shrunk since is now, not earlier", []point{{start, 800, 1000}, {start.Add(time.Hour), 900, 1000}, {start.Add(2 * time.Hour), 950, 900}}, true, 0.),
	Entry("is none if it does not grow", every(10, 500, 500, 500), false, 0.),
	Entry("is none if it is emptied", every(10, 500, 400, 300), false, 0.),
	Entry("is none if it grows less than can be measured", every(10, 500, 500.04, 500.08), false, 0.),
	Entry("is none after one growth at once", every(1, 100, 500, 900), false, 0.),
	Entry("is none with two points", every(60, 100, 200), false, 0.),
	Entry("is none with no points", nil, false, 0.),
)

var _ = Describe("The history of Pools", func() {
	var h history
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	note := func(minute, read int, used uint64, more ...status.Object) {
		h.note(status.Report{Time: at(minute), ReadAt: at(read), Objects: append(more, status.Object{
			Kind: spec.KindPool, Name: "p", Pool: &status.Pool{Size: 1000, Allocated: used},
		})})
	}
	data := usage{"p", whatData}
	BeforeEach(func() { h = history{} })

	It("forgets what is older than the window", func() {
		for minute := range 500 {
			note(minute, minute, uint64(minute))
		}
		Expect(h.points[data]).To(HaveLen(361))
		Expect(h.points[data][0].at).To(Equal(at(139)))
		Expect(h.forecasts()).To(Equal([]forecast{{data, (1000 - 499) * 60}}))
	})
	It("takes nothing twice that was read once", func() {
		note(0, 0, 100)
		note(5, 0, 100)
		note(10, 0, 100)
		Expect(h.points[data]).To(HaveLen(1))
		note(10, 10, 100)
		note(15, 10, 200)
		Expect(h.points[data]).To(HaveLen(3))
		Expect(h.points[data][2]).To(Equal(point{at(15), 200, 1000}))
	})
	It("takes one point a minute", func() {
		for range 10 {
			note(0, 0, 100)
			note(0, 0, 200)
		}
		Expect(h.points[data]).To(HaveLen(1))
	})
	It("forgets Pools that are no more, and not those whose usage is unknown for a moment", func() {
		note(0, 0, 100)
		h.note(status.Report{Time: at(10), Objects: []status.Object{{Kind: spec.KindPool, Name: "p", Pool: &status.Pool{Size: 1000, UsageUnknown: true}}}})
		Expect(h.points[data]).To(HaveLen(1))
		h.note(status.Report{Time: at(20)})
		Expect(h.points[data]).To(BeEmpty())
	})
	It("is told by the collector", func() {
		board := &status.Board{}
		c := New(board, files{}, Build{})
		for i := range 4 {
			board.Publish([]status.Object{{Kind: spec.KindPool, Name: "p", Pool: &status.Pool{Size: 1000, Allocated: uint64(100 * i)}}}, nil, status.PassCost{}, at(10*i))
			c.PassEnded(status.PassCost{}, true)
		}
		Expect(gathered(c)).To(HaveKeyWithValue("pool_full_in_seconds{pool=p,what=data}", BeNumerically("~", 7*600)))
	})
})
