package blockdelta

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/host"
)

// delta is what thin_delta 0.9.0 printed, but for its spaces.
const delta = `<superblock uuid="" time="3" transaction="7" data_block_size="128" nr_data_blocks="6400">
  <diff left="3" right="1">
    <same begin="0" length="16"/>
    <different begin="16" length="1"/>
    <left_only begin="32" length="5"/>
    <right_only begin="64" length="3"/>
  </diff>
</superblock>
`

const chunk64 = 64 * kib

var deltaExtents = []blockcopy.Extent{{Offset: 16 * chunk64, Length: chunk64}, {Offset: 32 * chunk64, Length: 5 * chunk64}, {Offset: 64 * chunk64, Length: 3 * chunk64}}

const report = `  vg-0|v|public,origin,thinorigin|16777216|16777216|p-1|1
  WARNING: something is wrong with another device.
  vg-0|s|public,snapshot,thinsnapshot|16777216||p-1|3
  vg-0|other|public|16777216||q|3
  vg-0|thick|public|16777216|||
`

// pool is a machine with a thin pool, and all that it was asked to do.
type pool struct {
	mu       sync.Mutex
	reserved bool
	ran      []string
	report   string
	delta    string
	fails    map[string]error // by a part of the command
	waits    chan struct{}
}

func (p *pool) Run(ctx context.Context, argv ...string) (host.Output, error) {
	if err := ctx.Err(); err != nil {
		return host.Output{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	line := strings.Join(argv, " ")
	if argv[0] != "lvs" {
		p.ran = append(p.ran, line)
	}
	for part, err := range p.fails {
		if strings.Contains(line, part) {
			return host.Output{}, err
		}
	}
	switch {
	case argv[0] == "lvs":
		return host.Output{Stdout: []byte(p.report)}, nil
	case argv[0] == "thin_delta" && p.reserved:
		if p.waits != nil {
			<-p.waits
		}
		return host.Output{Stdout: []byte(p.delta)}, nil
	case strings.HasSuffix(line, "reserve_metadata_snap") && p.reserved:
		return host.Output{}, &host.CommandError{Argv: argv, ExitCode: 1,
			Stderr: "device-mapper: message ioctl on vg--0-p--1-tpool  failed: Device or resource busy\nCommand failed.\n"}
	case strings.HasSuffix(line, "reserve_metadata_snap"):
		p.reserved = true
	case strings.HasSuffix(line, "release_metadata_snap") && p.reserved:
		p.reserved = false
	default:
		return host.Output{}, &host.CommandError{Argv: argv, ExitCode: 1, Stderr: "no"}
	}
	return host.Output{}, nil
}

const (
	reserve = "dmsetup message vg--0-p--1-tpool 0 reserve_metadata_snap"
	release = "dmsetup message vg--0-p--1-tpool 0 release_metadata_snap"
	ask     = "thin_delta -m --snap1 3 --snap2 1 /dev/mapper/vg--0-p--1_tmeta"
)

var _ = Describe("what changed in a thin volume", func() {
	var p *pool
	BeforeEach(func() { p = &pool{report: report, delta: delta} })

	It("is what its pool says", func(ctx SpecContext) {
		Expect(New(p).Extents(ctx, "vg-0/s", "vg-0/v")).To(Equal(deltaExtents))
		Expect(p.ran).To(Equal([]string{reserve, ask, release}))
	})

	It("is found although somebody was killed while he looked", func(ctx SpecContext) {
		p.reserved = true
		Expect(New(p).Extents(ctx, "vg-0/s", "vg-0/v")).To(Equal(deltaExtents))
		Expect(p.ran).To(Equal([]string{reserve, release, reserve, ask, release}))
		Expect(p.reserved).To(BeFalse())
	})

	DescribeTable("leaves nothing behind when it is not found", func(ctx SpecContext, spoil func(), want string) {
		spoil()
		_, err := New(p).Extents(ctx, "vg-0/s", "vg-0/v")
		Expect(err).To(MatchError(ContainSubstring(want)))
		Expect(p.reserved).To(BeFalse())
	},
		Entry("no thin_delta", func() {
			p.fails = map[string]error{"thin_delta": &host.CommandError{Argv: []string{"thin_delta"}, ExitCode: -1, Err: exec.ErrNotFound}}
		}, "install the package thin-provisioning-tools"),
		Entry("thin_delta fails", func() {
			p.fails = map[string]error{"thin_delta": &host.CommandError{Argv: []string{"thin_delta"}, ExitCode: 1, Stderr: "checksum"}}
		}, "checksum"),
		Entry("thin_delta says something else", func() { p.delta = "<superblock/>" }, "thin_delta: unsupported chunk size of 0 sectors"),
		Entry("the pool fails", func() { p.fails = map[string]error{"reserve": &host.CommandError{ExitCode: 1, Stderr: "I/O error"}} }, "I/O error"),
		Entry("it is not there", func() { p.report = "" }, "lvs does not report vg-0/s"),
		Entry("it has no identifier", func() { p.report = strings.ReplaceAll(report, "|3\n", "|x\n") }, `"x" is not a thin volume ID`),
		Entry("it has no size", func() { p.report = strings.ReplaceAll(report, "16777216", "big") }, `"big" is not a size`),
	)

	It("is told by one pool alone", func(ctx SpecContext) {
		for _, since := range []string{"vg-0/other", "vg-0/thick"} {
			_, err := New(p).Extents(ctx, since, "vg-0/v")
			Expect(err).To(MatchError(ContainSubstring("is not a copy-on-write snapshot, and not in the same thin pool")))
		}
		Expect(p.ran).To(BeEmpty())
	})

	It("is looked for by one at a time", func(ctx SpecContext) {
		r := New(p)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				defer GinkgoRecover()
				Expect(r.Extents(ctx, "vg-0/s", "vg-0/v")).To(Equal(deltaExtents))
			})
		}
		group.Wait()
		Expect(p.ran).To(HaveLen(24), "nobody was in another's way")
	})

	It("is not waited for any longer than is asked for, and ends as it should", func(ctx SpecContext) {
		p.waits = make(chan struct{})
		r := New(p)
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		for range 2 {
			_, err := r.Extents(short, "vg-0/s", "vg-0/v")
			Expect(err).To(MatchError(context.DeadlineExceeded))
		}
		close(p.waits)
		Expect(r.Extents(ctx, "vg-0/s", "vg-0/v")).To(Equal(deltaExtents))
		Expect(p.reserved).To(BeFalse())
	})
})

// self is what thin_delta 0.9.0 and 1.1.0 printed of a thin volume and itself, but for their spaces: ranges
// that are next to each other in the volume are one, wherever their data is.
const self = `<superblock uuid="" time="1" transaction="2" data_block_size="128" nr_data_blocks="1000">
  <diff left="1" right="1">
    <same begin="0" length="20"/>
    <same begin="50" length="1"/>
    <same begin="200" length="400"/>
  </diff>
</superblock>`

var _ = Describe("what a thin volume has mapped", func() {
	var p *pool
	BeforeEach(func() { p = &pool{report: report, delta: self} })

	It("is what its pool says, within the volume", func(ctx SpecContext) {
		Expect(New(p).Mapped(ctx, "vg-0/v")).To(Equal([]blockcopy.Extent{
			{Offset: 0, Length: 20 * chunk64}, {Offset: 50 * chunk64, Length: chunk64}, {Offset: 200 * chunk64, Length: 56 * chunk64}}))
		Expect(p.ran).To(Equal([]string{reserve, strings.Replace(ask, "--snap1 3", "--snap1 1", 1), release}))
	})

	It("is nothing, and known to be", func(ctx SpecContext) {
		p.delta = `<superblock data_block_size="128"><diff left="1" right="1"></diff></superblock>`
		mapped, err := New(p).Mapped(ctx, "vg-0/v")
		Expect(err).NotTo(HaveOccurred())
		Expect(mapped).To(And(BeEmpty(), Not(BeNil())))
	})

	It("is not taken from what says something else, and leaves nothing behind", func(ctx SpecContext) {
		for text, want := range map[string]string{
			delta: "not about thin volumes 1 and 1",
			strings.Replace(self, "same begin", "different begin", 1): "not the same as itself",
			self[:len(self)/2]: "thin_delta",
		} {
			p.delta = text
			_, err := New(p).Mapped(ctx, "vg-0/v")
			Expect(err).To(MatchError(ContainSubstring(want)))
			Expect(p.reserved).To(BeFalse())
		}
		_, err := New(p).Mapped(ctx, "vg-0/thick")
		Expect(err).To(MatchError(ErrNotThin))
	})
})

var _ = DescribeTable("a delta that is not one", func(text string) {
	Expect(parseDelta([]byte(text), 3, 1, func(int64, int64) {})).NotTo(Succeed())
},
	Entry("nothing", ""),
	Entry("cut off", delta[:len(delta)/2]),
	Entry("cut off at the end", delta[:strings.Index(delta, "</diff>")]),
	Entry("no diff", `<superblock data_block_size="128"></superblock>`),
	Entry("of others", strings.Replace(delta, `left="3"`, `left="2"`, 1)),
	Entry("two of them", delta+delta),
	Entry("chunks of no size", strings.Replace(delta, `"128"`, `"100"`, 1)),
	Entry("something unknown", strings.Replace(delta, "different", "moved", 1)),
	Entry("too long", strings.Replace(delta, `length="5"`, `length="18446744073709551615"`, 1)),
	Entry("too far", strings.Replace(delta, `begin="32"`, `begin="9223372036854775807"`, 1)),
	Entry("of no length", strings.Replace(delta, `length="5"`, `length="0"`, 1)),
	Entry("no number", strings.Replace(delta, `length="5"`, `length="-5"`, 1)),
	Entry("no attribute", strings.Replace(delta, `length="5"`, ``, 1)),
)

// FuzzDelta reads anything as what thin_delta printed.
func FuzzDelta(f *testing.F) {
	f.Add([]byte(delta))
	f.Add([]byte(self))
	f.Add([]byte(fmt.Sprintf(`<superblock data_block_size="2097152"><diff left="3" right="1"><different begin="%d" length="9"/></diff></superblock>`, 1<<40)))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := collect(10 * mib)
		if err := parseDelta(data, 3, 1, all.add); err == nil {
			checkExtents(t, all.all(), 10*mib)
		}
		all = collect(10 * mib)
		if err := parseMapped(data, 1, all.add); err == nil {
			checkExtents(t, all.all(), 10*mib)
		}
	})
}
