package observe

import (
	"context"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/pvscan"
)

// silentNode has one disk that stops to answer. LVM hangs until somebody has found that.
type silentNode struct {
	recording
	mu       sync.Mutex
	stopped  bool // the disk does not answer
	found    bool // and that is known
	reports  int
	rechecks int
	letGo    chan struct{}
}

func (n *silentNode) Run(_ context.Context, _ ...string) (host.Output, error) {
	n.mu.Lock()
	n.reports++
	hangs := n.stopped && !n.found
	n.mu.Unlock()
	if hangs {
		<-n.letGo
	}
	return host.Output{Stdout: n.stdout}, nil
}

func (n *silentNode) Recheck(context.Context) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rechecks++
	another := n.stopped && !n.found
	n.found = n.stopped
	return another
}

func (n *silentNode) Silent() []pvscan.Silent {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.found {
		return []pvscan.Silent{{Path: "/dev/sdz", Since: time.Unix(0, 0)}}
	}
	return nil
}

func (*silentNode) OwnTargets(...string) {}

var _ = Describe("reading LVM beside a device that does not answer", func() {
	var (
		n *silentNode
		o *Observer
	)
	BeforeEach(func() {
		n = &silentNode{recording: recording{stdout: testdata("lvm_fullreport.json")}, letGo: make(chan struct{})}
		o = New(n)
		o.SetDevices(n)
		o.lvm.reader.suspicion, o.lvm.reader.patience = 50*time.Millisecond, time.Minute
		DeferCleanup(func() { close(n.letGo) })
	})
	const why = "/dev/sdz does not answer (since 1970-01-01T00:00:00Z)"

	It("leaves the report that waits for it to itself, and asks without it", func(ctx SpecContext) {
		Expect(o.Observe(ctx).Err()).NotTo(HaveOccurred())
		n.stopped, n.reports = true, 0
		for range 3 {
			state := o.Observe(ctx)
			Expect(state.Unknown).To(BeEmpty())
			Expect(state.VolumeGroups).To(HaveKey("vg0"))
			Expect(state.SilentDevices).To(Equal([]string{why}))
		}
		Expect(n.reports).To(Equal(4), "one more, for the one that hangs")
		Expect(n.rechecks).To(Equal(1))
	}, NodeTimeout(30*time.Second))

	Describe("that is known", func() {
		BeforeEach(func() { n.stopped, n.found = true, true })

		It("takes no volume group that lacks physical volumes for one that has lost them", func(ctx SpecContext) {
			state := o.Observe(ctx)
			state.Expect("vg0")
			Expect(state.VolumeGroups).To(HaveKey("vg0"))
			Expect(state.VolumeGroups).NotTo(HaveKey("missing"))
			_, there, err := state.Group("missing")
			Expect(there).To(BeFalse())
			Expect(err).To(MatchError(ContainSubstring("volume group missing lacks 1 physical volume(s), and " + why)))
			Expect(state.Err()).To(MatchError(ContainSubstring(why)))
		})

		It("is certain of nothing that it has not read", func(ctx SpecContext) {
			n.stdout = testdata("lvm_whole.json")
			state := o.Observe(ctx)
			Expect(state.Err()).To(MatchError(ContainSubstring(why)))
			state.Expect("vg0", "elsewhere")
			Expect(state.Err()).To(MatchError(ContainSubstring(why)), "it may be there")

			By("and does not mind it where all that matters was read")
			state.Expect("vg0")
			Expect(state.Err()).NotTo(HaveOccurred())
			_, there, err := state.Group("elsewhere")
			Expect(there).To(BeFalse())
			Expect(err).To(MatchError(ContainSubstring(why)))
		})
	})

	It("says nothing of devices that answer", func(ctx SpecContext) {
		state := o.Observe(ctx)
		Expect(state.SilentDevices).To(BeEmpty())
		Expect(state.VolumeGroups).To(HaveKey("missing"))
		_, _, err := state.Group("elsewhere")
		Expect(err).NotTo(HaveOccurred())
	})
})

var _ = DescribeTable("the names of silent devices", func(want string, silent ...string) { Expect(shortList(silent)).To(Equal(want)) },
	Entry("one", "a", "a"),
	Entry("some", "a, b, c", "a", "b", "c"),
	Entry("many", "a, b, c and 2 other devices do not answer", "a", "b", "c", "d", "e"),
)
