package host_test

import (
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// failing is a machine that does nothing, and where everything fails.
type failing struct{ host.Host }

var errFailing = errors.New("failing")

func (failing) Run(context.Context, ...string) (host.Output, error) {
	return host.Output{}, errFailing
}
func (failing) WriteFile(string, []byte) error { return errFailing }
func (failing) Mkdir(string) error             { return errFailing }
func (failing) Remove(string) error            { return errFailing }
func (failing) Symlink(_, _ string) error      { return errFailing }

var _ = Describe("Announced", func() {
	var changed []string
	var ran int
	var h host.Host
	BeforeEach(func() {
		changed, ran = nil, 0
		h = &host.Announced{Host: failing{}, Changed: func(path string) { changed = append(changed, path) }, Ran: func() { ran++ }}
	})

	It("says what was changed, even if that failed", func() {
		Expect(h.WriteFile("/a", nil)).To(MatchError(errFailing))
		Expect(h.Mkdir("/b")).To(MatchError(errFailing))
		Expect(h.Remove("/c")).To(MatchError(errFailing))
		Expect(h.Symlink("/d", "/e")).To(MatchError(errFailing))
		Expect(changed).To(Equal([]string{"/a", "/b", "/c", "/e"}))
	})
	DescribeTable("commands", func(ctx SpecContext, times int, argv ...string) {
		_, err := h.Run(ctx, argv...)
		Expect(err).To(MatchError(errFailing))
		Expect(ran).To(Equal(times))
	},
		Entry("that change LVM", 1, "lvchange", "-an", "vg0/a"),
		Entry("that change LVM, of lvm", 1, "lvm", "lvremove", "vg0/a"),
		Entry("that change LVM, by their path", 1, "/sbin/lvcreate", "vg0"),
		Entry("that nobody knows", 1, "blkdiscard", "/dev/dm-0"),
		Entry("that only read", 0, "lvs"),
		Entry("that only read, of lvm", 0, "lvm", "fullreport"),
		Entry("that say which version it is", 0, "lvm", "version"),
	)
})
