package reconcile

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Events that mean nothing", func() {
	now := time.Now()
	const longest = 30 * time.Second
	var n noise
	BeforeEach(func() {
		n = noise{}
		for range noisePasses {
			Expect(n.deafFor(now, longest)).To(BeZero())
			n.note(true, true, now)
		}
	})
	It("are listened to less and less often, but never less often than without them", func() {
		var waits []time.Duration
		for range 10 {
			waits = append(waits, n.deafFor(now, longest))
			n.note(true, true, now)
		}
		Expect(waits).To(Equal([]time.Duration{
			firstDeaf, 2 * firstDeaf, 4 * firstDeaf, 8 * firstDeaf, 16 * firstDeaf, 32 * firstDeaf, 64 * firstDeaf, longest, longest, longest,
		}))
	})
	It("are listened to again once they meant something, or have ended", func() {
		Expect(n.deafFor(now, longest)).NotTo(BeZero())
		Expect(n.deafFor(now.Add(longest+1), longest)).To(BeZero())
		n.note(true, true, now)
		n.note(true, false, now)
		Expect(n.deafFor(now, longest)).To(BeZero())
	})
	It("are not counted by passes that nothing announced", func() {
		n.note(false, true, now)
		Expect(n.deafFor(now, longest)).To(Equal(firstDeaf))
	})
})
