package backup

import (
	"bytes"
	"context"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/backup/slicefs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/lvdevice"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

var _ = Describe("a backup", func() {
	var v *volume
	BeforeEach(func(ctx SpecContext) {
		v = newVolume(GinkgoT().TempDir(), 1*mib+1000)
		Expect(v.job.Repository.Init(ctx)).To(Succeed())
		v.write(128*kib, 300*kib)
	})
	restored := func(ctx context.Context) []byte {
		GinkgoHelper()
		path := v.target(int64(len(v.data)), true)
		_, err := v.restore(path).Run(ctx)
		Expect(err).NotTo(HaveOccurred())
		b, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		return b
	}

	It("reads what is mapped, then only what has changed", func(ctx SpecContext) {
		first, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(first).To(And(HaveField("Read", BeEquivalentTo(5*small)), HaveField("Present", BeEquivalentTo(5*small)),
			HaveField("Full", "there is no parent")))
		v.write(200*kib, 10)
		second, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(second).To(And(HaveField("Read", BeEquivalentTo(small)), HaveField("Present", BeEquivalentTo(5*small)), HaveField("Full", "")))
		third, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(third).To(HaveField("Read", BeZero()))
		Expect(restored(ctx)).To(Equal(v.data))

		all, err := List(ctx, v.job.Repository, "db")
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(3))
		Expect(all[2]).To(And(HaveField("Volume", "db"), HaveField("Format", 1), HaveField("Time", v.job.Time)))
		Expect(List(ctx, v.job.Repository, "other")).To(BeEmpty())
		Expect(describe(ctx, v)).To(Equal("volume: db\n"))
		// Two starts each: the description of the parent, and the backup.
		Expect(v.fake.Commands()).To(HaveLen(1 + 1 + 2 + 2 + 2 + 2 + 1))
	})

	DescribeTable("reads everything again when it must", func(ctx SpecContext, change func(context.Context), why string) {
		_, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		change(ctx)
		second, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(second.Read).To(Equal(second.Present))
		Expect(second.Full).To(ContainSubstring(why))
		Expect(restored(ctx)).To(Equal(v.data))
	},
		Entry("the base is unknown", func(context.Context) { v.job.ChangedKnown = false }, "what changed"),
		Entry("the parent is gone", func(ctx context.Context) {
			Expect(v.job.Repository.Forget(ctx, v.job.Parent)).To(Succeed())
		}, "the parent is gone"),
		Entry("the parent is incomplete", func(context.Context) {
			v.fake.Drop(v.job.Repository.URL, v.job.Parent, "/volume/digests")
		}, "the parent cannot be read"),
		Entry("the parent is of another version", func(context.Context) {
			v.fake.Alter(v.job.Repository.URL, v.job.Parent, "/volume/times", func(b []byte) []byte {
				return bytes.Replace(b, []byte("times 1"), []byte("times 2"), 1)
			})
		}, "version 1"),
		Entry("the slices have another size", func(context.Context) { v.job.slice *= 2 }, "slices of another size"),
	)

	DescribeTable("follows the volume's size", func(ctx SpecContext, size int64, reread int) {
		v.write(1*mib, 1000)
		_, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		data := make([]byte, size)
		copy(data, v.data)
		v.data = data
		second, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(second.Read).To(BeEquivalentTo(reread))
		Expect(restored(ctx)).To(Equal(v.data))
	},
		Entry("grown", int64(2*mib), small),
		Entry("grown by a byte", int64(1*mib+1001), 1001),
		Entry("shrunk to a boundary", int64(1*mib), 0),
		Entry("shrunk into a slice", int64(400*kib), 400*kib%small),
	)

	It("reads everything with Reread, and finds what has changed without a reason", func(ctx SpecContext) {
		_, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		v.job.Reread = true
		second, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(second.Read).To(BeEquivalentTo(5 * small))
		v.data[130*kib]++
		_, err = v.backup(ctx)
		Expect(err).To(MatchError(slicefs.ErrDigest))
		Expect(List(ctx, v.job.Repository, "db")).To(HaveLen(2))
		Expect(v.fake.Locks(v.job.Repository.URL)).To(BeZero())
	})

	It("keeps times apart when the clock is set back", func(ctx SpecContext) {
		_, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		v.job.Time = v.job.Time.Add(-48 * time.Hour)
		v.write(128*kib, 1)
		second, err := v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(second.Read).To(BeEquivalentTo(small))
		Expect(restored(ctx)).To(Equal(v.data))
	})

	It("makes no snapshot when the device fails", func(ctx SpecContext) {
		Expect(os.WriteFile(v.job.Device, v.data[:300*kib], 0o600)).To(Succeed())
		v.job.Size = int64(len(v.data))
		_, err := v.job.Run(ctx)
		Expect(err).To(MatchError(blockcopy.ErrSize))
		Expect(List(ctx, v.job.Repository, "db")).To(BeEmpty())
	})

	It("removes the snapshot of a restic that could not read everything", func(ctx SpecContext) {
		v.job.Repository.Runner = incomplete{v.fake}
		_, err := v.backup(ctx)
		Expect(err).To(MatchError(restic.ErrIncomplete))
		Expect(List(ctx, v.job.Repository, "db")).To(BeEmpty())
	})

	It("unmounts what a killed predecessor left, and nothing of others", func(ctx SpecContext) {
		Expect(os.WriteFile(v.job.Device, v.data, 0o600)).To(Succeed())
		device, err := blockcopy.OpenSource(v.job.Device, "", 0)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(device.Close)
		p := plan(state{layout: format.Layout{Size: int64(len(v.data)), Slice: small}, mapped: v.job.Mapped, now: 1})
		left, err := slicefs.Mount(v.job.MountDir, slicefs.Volume{Device: device, Index: p.index, Changed: p.changed})
		Expect(err).NotTo(HaveOccurred())
		_, err = v.backup(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(left.Close()).NotTo(Succeed()) // it is no longer mounted

		Expect(unix.Mount("tmpfs", v.job.MountDir, "tmpfs", 0, "")).To(Succeed())
		DeferCleanup(func() { Expect(unix.Unmount(v.job.MountDir, 0)).To(Succeed()) })
		_, err = v.backup(ctx)
		Expect(err).To(MatchError(ContainSubstring("is a mount point of type tmpfs")))
	})

	It("opens only the volume that it has to be", func(ctx SpecContext) {
		v.job.UUID = "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"
		_, err := v.backup(ctx)
		Expect(err).To(MatchError(lvdevice.ErrOther))
	})

	It("refuses tags that restic would take apart", func(ctx SpecContext) {
		v.job.Tags = map[string]string{"base": "a,b"}
		_, err := v.backup(ctx)
		Expect(err).To(MatchError(ContainSubstring("cannot be a tag")))
	})
})

// describe returns volume.yaml of the latest backup.
func describe(ctx context.Context, v *volume) (string, error) {
	d, err := Inspect(ctx, v.job.Repository, v.job.Parent)
	return string(d.VolumeYAML), err
}

// incomplete is a restic that finds a file that it cannot read.
type incomplete struct{ restic.Runner }

func (i incomplete) Run(ctx context.Context, c restic.Command) (int, error) {
	code, err := i.Runner.Run(ctx, c)
	if strings.HasPrefix(strings.Join(c.Args, " "), "backup") && code == 0 {
		code = 3
	}
	return code, err
}
