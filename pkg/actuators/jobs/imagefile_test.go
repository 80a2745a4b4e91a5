package jobs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// imageFiles makes image files on a machine in memory.
type imageFiles struct {
	fakehost.Engine
	fails error
	wrote []jobs.ImageFile
}

func (i *imageFiles) Write(ctx context.Context, f jobs.ImageFile) error {
	f.Progress(change.Progress{Done: f.Size, Total: f.Size})
	f.Progress = nil
	i.wrote = append(i.wrote, f)
	if i.fails != nil {
		return i.fails
	}
	return i.ExportImage(ctx, f.Device, int64(f.Size), f.Path)
}

var _ = Describe("writing an image", func() {
	var (
		m     machine
		files *imageFiles
		write change.WriteImage
	)
	BeforeEach(func(ctx SpecContext) {
		m = newMachine(ctx)
		m.do(ctx, "lvcreate -y -V 8m --thinpool p -n v vg0", "lvcreate -y -s -n s vg0/v")
		files = &imageFiles{Engine: fakehost.Engine{Devices: m}}
		write = change.WriteImage{Path: "/srv/v.qcow2", Format: spec.FormatQCOW2, Compress: true, Source: m.named("s"), Size: 8 * mib}
	})
	apply := func(ctx context.Context) error {
		a := jobs.New(m, lvm.New(m, m), fakehost.Engine{Devices: m}, nil, nil)
		a.UseImageFiles(files)
		return a.Apply(ctx, write)
	}

	It("activates what is read for as long as that takes, and tells of progress", func(ctx SpecContext) {
		var told change.Progress
		Expect(apply(change.WithProgress(ctx, func(p change.Progress) { told = p }))).To(Succeed())
		Expect(files.wrote).To(ConsistOf(jobs.ImageFile{Device: "/dev/vg0/s", UUID: m.named("s").UUID, Size: 8 * mib, Path: "/srv/v.qcow2", Format: spec.FormatQCOW2, Compress: true}))
		Expect(told.Done).To(BeEquivalentTo(8 * mib))
		Expect(m.active("s")).To(BeFalse())
		info, err := m.Lstat("/srv/v.qcow2")
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Size()).To(BeEquivalentTo(8 * mib))
		Expect(m.ReadFile("/srv/v.qcow2.sha256")).To(HaveSuffix("  v.qcow2\n"))
	})

	It("is not done over a file", func(ctx SpecContext) {
		Expect(m.CreateFile(fakehost.File{Path: write.Path, Text: "precious"}, false)).To(Succeed())
		err := apply(ctx)
		Expect(err).To(And(MatchError(change.ErrStale), MatchError(fs.ErrExist)))
		Expect(m.ReadFile(write.Path)).To(BeEquivalentTo("precious"))
	})

	It("is done where a crash has left a checksum", func(ctx SpecContext) {
		crash := &fakehost.Tap{Host: m.Host, Before: func(c fakehost.Call) error {
			if c.Op == "create" && c.Path == write.Path {
				return errors.New("crash")
			}
			return nil
		}}
		Expect(fakehost.Engine{Devices: crash}.ExportImage(ctx, "/dev/vg0/v", 8*mib, write.Path)).To(MatchError("crash"))
		Expect(apply(ctx)).To(Succeed())
		Expect(m.ReadFile(write.Path + ".sha256")).To(HaveSuffix("  v.qcow2\n"))
	})

	It("is not done over the checksum of somebody", func(ctx SpecContext) {
		theirs := strings.Repeat("0f", 32) + "  v.qcow2\n"
		Expect(m.CreateFile(fakehost.File{Path: write.Path + ".sha256", Text: theirs}, false)).To(Succeed())
		Expect(apply(ctx)).To(And(MatchError(change.ErrNotOwned), MatchError(ContainSubstring("checksum file /srv/v.qcow2.sha256 already exists without its image"))))
		Expect(m.ReadFile(write.Path + ".sha256")).To(BeEquivalentTo(theirs))
		_, err := m.Lstat(write.Path)
		Expect(err).To(MatchError(fs.ErrNotExist))
	})

	It("is of what the plan saw", func(ctx SpecContext) {
		write.Source.UUID = m.named("v").UUID
		Expect(apply(ctx)).To(MatchError(change.ErrStale))
		Expect(files.wrote).To(BeEmpty())
	})

	It("says what does not work", func(ctx SpecContext) {
		files.fails = errors.New("no more paper")
		Expect(apply(ctx)).To(MatchError("no more paper"))
		Expect(m.active("s")).To(BeFalse())
		Expect(m.apply(ctx, write)).To(MatchError(ContainSubstring("cannot write images: this agent has no image backend")))
	})
})

var _ = Describe("image files of qemu-img", func() {
	It("are complete, and what a crash left no longer exists", func(ctx SpecContext) {
		if _, err := exec.LookPath("qemu-img"); err != nil {
			Skip("there is no qemu-img")
		}
		dir := GinkgoT().TempDir()
		device, path := filepath.Join(dir, "device"), filepath.Join(dir, "images", "disk.qcow2")
		Expect(os.WriteFile(device, make([]byte, 2*mib), 0o600)).To(Succeed())
		write := func() error {
			return (&jobs.QEMUImageFiles{}).Write(ctx, jobs.ImageFile{Device: device, Size: 2 * mib, Path: path, Format: spec.FormatQCOW2, Compress: true, Progress: func(change.Progress) {}})
		}
		Expect(write()).To(MatchError(fs.ErrNotExist), "it makes no directory")
		Expect(os.Mkdir(filepath.Dir(path), 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "images", ".disk.qcow2.X.volreconciler-part"), nil, 0o600)).To(Succeed())
		Expect(write()).To(Succeed())
		entries, err := filepath.Glob(filepath.Join(dir, "images", "*"))
		Expect(err).NotTo(HaveOccurred())
		Expect(entries).To(ConsistOf(path, path+".sha256"))
		Expect(filepath.Glob(filepath.Join(dir, "images", ".*"))).To(BeEmpty())
		check := exec.CommandContext(ctx, "sha256sum", "--check", "--strict", "disk.qcow2.sha256")
		check.Dir = filepath.Dir(path)
		Expect(check.Run()).To(Succeed())
		Expect(write()).To(MatchError(fs.ErrExist))
		By("which removes no checksum of somebody's")
		Expect(os.Remove(path)).To(Succeed())
		Expect(write()).To(MatchError(fs.ErrExist))
		Expect(path + ".sha256").To(BeARegularFile())
	})
})
