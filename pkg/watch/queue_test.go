package watch

import (
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Events that wait", func() {
	It("are merged if they say the same", func() {
		q := newQueue()
		one, other := &Process{PID: 7}, &Process{PID: 8}
		for range 3 {
			q.put(Event{Source: Configfs, Path: "/a", By: one})
			q.put(Event{Source: Configfs, Path: "/a", By: other})
			q.put(Event{Source: Configfs, Path: "/a"})
			q.put(Event{Source: Devices, Path: "/a"})
		}
		Expect(q.take()).To(HaveLen(4))
		Expect(q.take()).To(BeEmpty())
		q.put(Event{Source: Devices, Path: "/a"})
		Expect(q.take()).To(HaveLen(1))
	})

	It("are replaced by one of each source if they are too many", func() {
		q := newQueue()
		q.put(Event{Source: Metadata, Path: "/dev/sda"})
		for i := range queueLimit {
			q.put(Event{Source: Configfs, Path: strconv.Itoa(i)})
		}
		Expect(q.take()).To(ConsistOf(Event{Source: Configfs}, Event{Source: Metadata}))
	})
})
