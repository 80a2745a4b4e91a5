package observe

import (
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// answering is a machine on which every command prints the same.
type answering struct {
	text string
	err  error
}

func (a answering) Run(context.Context, ...string) (host.Output, error) {
	return host.Output{Stdout: []byte(a.text)}, a.err
}

var _ = Describe("The configuration of LVM", func() {
	It("is warned of if it looks into exported volumes", func(ctx SpecContext) {
		Expect(LVMWarnings(ctx, answering{text: "scan_lvs=1\n"})).To(ConsistOf(ContainSubstring("Set it to 0; if this node has a volume group on logical volumes, set devices/global_filter instead")))
	})
	It("is fine if it does not", func(ctx SpecContext) {
		Expect(LVMWarnings(ctx, answering{text: "scan_lvs=0\n"})).To(BeEmpty())
	})
	It("may be unknown", func(ctx SpecContext) {
		_, err := LVMWarnings(ctx, answering{err: errors.New("no such command")})
		Expect(err).To(MatchError(ContainSubstring("cannot check whether LVM scans exported volumes: no such command")))
	})
})
