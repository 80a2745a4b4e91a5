package qemuimg

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/image"
)

var _ = Describe("what lies in an image as it is", func() {
	const size = 6 * mib
	var (
		dir, path, target string
		content           []byte
	)
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		path, target = filepath.Join(dir, "image"), filepath.Join(dir, "target")
		content = disk(size)
		Expect(os.WriteFile(filepath.Join(dir, "raw"), content, 0o600)).To(Succeed())
	})
	// without is a qemu-img that fails at a command.
	without := func(command, how string) Tool {
		GinkgoHelper()
		script := filepath.Join(dir, "without-"+command)
		Expect(os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" != "+command+" ] || { "+how+"; }\nexec qemu-img \"$@\"\n"), 0o700)).To(Succeed())
		return Tool{Path: script}
	}
	check := func(ctx context.Context) Source {
		GinkgoHelper()
		f, err := image.Open(path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		s, err := Tool{}.Check(ctx, f, image.Detect, 0)
		Expect(err).NotTo(HaveOccurred())
		return s
	}
	convert := func(options ...string) {
		GinkgoHelper()
		qemu(append(append([]string{"convert", "-f", "raw"}, options...), filepath.Join(dir, "raw"), path)...)
	}
	// copies copies with a tool, in windows onto old data, and as a whole onto zeroes.
	copies := func(ctx context.Context, tool Tool) {
		GinkgoHelper()
		source := check(ctx)
		dirty(target, size+mib)
		for from := int64(0); from < size; from += 2 * mib {
			Expect(tool.Convert(ctx, Conversion{Source: source, Target: target, From: from, To: from + 2*mib})).To(Succeed())
		}
		same(target, append(bytes.Clone(content), bytes.Repeat([]byte("old data"), mib/8)...))
		Expect(os.Truncate(target, 0)).To(Succeed())
		Expect(os.Truncate(target, size)).To(Succeed())
		Expect(tool.Convert(ctx, Conversion{Source: source, Target: target, TargetIsZero: true})).To(Succeed())
		same(target, content)
	}

	DescribeTable("is copied without qemu-img", func(ctx SpecContext, options ...string) {
		convert(options...)
		copies(ctx, without("convert", "exit 1"))
	},
		Entry("raw", "-O", "raw"),
		Entry("qcow2", "-O", "qcow2"),
		Entry("qcow2 of version 2", "-O", "qcow2", "-o", "compat=0.10"),
		Entry("qcow2 with clusters of 4 KiB", "-O", "qcow2", "-o", "cluster_size=4k"),
		Entry("qcow2 with clusters of 2 MiB", "-O", "qcow2", "-o", "cluster_size=2M"),
		Entry("qcow2 with subclusters", "-O", "qcow2", "-o", "extended_l2=on,cluster_size=128k"),
		Entry("qcow2 of which all is allocated", "-O", "qcow2", "-S", "0"),
		Entry("qcow2 with clusters that were allocated before", "-O", "qcow2", "-o", "preallocation=metadata"),
		Entry("sparse VMDK", "-O", "vmdk"),
	)

	DescribeTable("and what does not is read by qemu-img", func(ctx SpecContext, options ...string) {
		convert(options...)
		Expect(without("convert", "exit 1").Convert(ctx, Conversion{Source: check(ctx), Target: target})).NotTo(Succeed())
		copies(ctx, Tool{})
	},
		Entry("compressed qcow2", "-O", "qcow2", "-c"),
		Entry("qcow2 with clusters of 512 bytes", "-O", "qcow2", "-o", "cluster_size=512"),
		Entry("stream-optimized VMDK", "-O", "vmdk", "-o", "subformat=streamOptimized"),
		Entry("VHDX", "-O", "vhdx"),
	)

	It("is what the disk holds now, and not in a snapshot within the image", func(ctx SpecContext) {
		convert("-O", "qcow2")
		qemu("snapshot", "-c", "before", path)
		out, err := exec.Command("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", "-c", "write -z 3M 1M", "-c", "discard 5M 64k", path).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		copy(content[mib:], bytes.Repeat([]byte{7}, mib))
		clear(content[3*mib : 4*mib])
		clear(content[5*mib : 5*mib+64<<10])
		copies(ctx, without("convert", "exit 1"))
	})

	DescribeTable("is read by qemu-img if its map is of no use", func(ctx SpecContext, how string) {
		convert("-O", "qcow2")
		tool := without("map", how)
		tool.CheckTimeout = 2 * time.Second
		dirty(target, size)
		Expect(tool.Convert(ctx, Conversion{Source: check(ctx), Target: target})).To(Succeed())
		same(target, content)
	},
		Entry("because it fails", "exit 1"),
		Entry("because it is none", "echo hello; exit 0"),
		Entry("because it is empty", "echo '[]'; exit 0"),
		Entry("because it has no end", "exec yes"),
		Entry("because it does not come", "sleep 1000"),
		Entry("because it leads out of the file", `echo '[{"start":0,"length":6291456,"data":true,"offset":1099511627776}]'; exit 0`),
	)

	DescribeTable("is not taken for good if the file changes meanwhile", func(ctx SpecContext, change func()) {
		convert("-O", "qcow2")
		source := check(ctx)
		dirty(target, size)
		changed := make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() {
			change()
			close(changed)
		})
		Expect(without("convert", "exit 1").Convert(ctx, Conversion{Source: source, Target: target, Limiter: blockcopy.NewLimiter(4 * mib)})).To(MatchError(image.ErrChanged))
		Expect(changed).To(BeClosed())
	},
		Entry("because somebody writes to it", func() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, _ = f.WriteAt([]byte("changed"), mib)
				_ = f.Close()
			}
		}),
		Entry("because it is cut off", func() { _ = os.Truncate(path, 1000) }),
	)

	It("is throttled, and stops when it is no longer wanted", func(ctx SpecContext) {
		convert("-O", "qcow2")
		dirty(target, size)
		gone := errors.New("the object no longer exists")
		running, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(300*time.Millisecond, func() { cancel(gone) })
		Expect(Tool{}.Convert(running, Conversion{Source: check(ctx), Target: target, Limiter: blockcopy.NewLimiter(mib)})).To(MatchError(gone))
		Expect(Tool{}.Convert(ctx, Conversion{Source: check(ctx), Target: target})).To(Succeed(), "nothing has it open any more")
		same(target, content)
	})

	It("is copied to a block device, which somebody else cannot have meanwhile", func(ctx SpecContext) {
		convert("-O", "qcow2")
		dirty(target, size)
		out, err := exec.Command("losetup", "--find", "--show", target).CombinedOutput()
		if err != nil {
			Skip("no loop devices here: " + string(out))
		}
		device := strings.TrimSpace(string(out))
		DeferCleanup(func() error { return exec.Command("losetup", "--detach", device).Run() })
		var claimed error
		Expect(without("convert", "exit 1").Convert(ctx, Conversion{Source: check(ctx), Target: device, Progress: func(_, _ int64) {
			var release func()
			if release, claimed = blockcopy.Claim(device, ""); claimed == nil {
				release()
			}
		}})).To(Succeed())
		Expect(claimed).To(MatchError(ContainSubstring("busy")))
		got, err := os.ReadFile(device)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got, content)).To(BeTrue())
	})
})

var _ = DescribeTable("a map that is not believed", func(change func([]mapped) []mapped) {
	at := func(n int64) *int64 { return &n }
	good := func() []mapped {
		return []mapped{{Start: mib, Length: 8192, Data: true, Offset: at(65536)}, {Start: mib + 8192, Length: 4096, Zero: true}, {Start: mib + 12288, Length: 512, Data: true, Offset: at(4096)}}
	}
	pieces, ok := toPieces(good(), 2*mib, mib, mib+12800)
	Expect(ok).To(BeTrue())
	Expect(pieces).To(Equal([]blockcopy.Piece{
		{Extent: blockcopy.Extent{Offset: mib, Length: 8192}, Source: 65536},
		{Extent: blockcopy.Extent{Offset: mib + 8192, Length: 4096}, Source: blockcopy.Zeroes},
		{Extent: blockcopy.Extent{Offset: mib + 12288, Length: 512}, Source: 4096},
	}))
	_, ok = toPieces(change(good()), 2*mib, mib, mib+12800)
	Expect(ok).To(BeFalse())
},
	Entry("none", func([]mapped) []mapped { return nil }),
	Entry("ends early", func(m []mapped) []mapped { return m[:2] }),
	Entry("begins late", func(m []mapped) []mapped { return m[1:] }),
	Entry("a gap", func(m []mapped) []mapped { return append(m[:1], m[2]) }),
	Entry("an overlap", func(m []mapped) []mapped { m[0].Length += 4096; return m }),
	Entry("beyond the window", func(m []mapped) []mapped { m[2].Length++; return m }),
	Entry("an empty entry", func(m []mapped) []mapped { m[1].Length = 0; return m }),
	Entry("a negative length", func(m []mapped) []mapped { m[1].Length = -4096; return m }),
	Entry("another file", func(m []mapped) []mapped { m[1].Depth = 1; return m }),
	Entry("neither data nor zero", func(m []mapped) []mapped { m[0].Data = false; return m }),
	Entry("compressed", func(m []mapped) []mapped { m[0].Compressed = true; return m }),
	Entry("no offset", func(m []mapped) []mapped { m[0].Offset = nil; return m }),
	Entry("a negative offset", func(m []mapped) []mapped { *m[0].Offset = -4096; return m }),
	Entry("an offset behind the file", func(m []mapped) []mapped { *m[0].Offset = 2*mib - 4096; return m }),
	Entry("the largest offset", func(m []mapped) []mapped { *m[0].Offset = 1<<63 - 1; return m }),
	Entry("an offset that is not aligned", func(m []mapped) []mapped { *m[0].Offset += 512; return m }),
)
