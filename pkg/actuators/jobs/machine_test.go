package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const mib = 1 << 20

// machine is a node in memory with vg0, a thin pool p in it, and what somebody
// left in every free extent.
type machine struct{ *fakehost.Host }

func newMachine(ctx context.Context) machine {
	GinkgoHelper()
	h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{
		Name: "vg0", ExtentSize: 4 * mib, Extents: 200, Leftovers: []fakehost.Span{{From: 0, To: 800 * mib, Text: "old secrets"}},
	}}})
	Expect(err).NotTo(HaveOccurred())
	m := machine{h}
	m.lvm(ctx, "lvcreate", "-y", "--type", "thin-pool", "-Zy", "-L", "256m", "-n", "p", "vg0")
	return m
}

// copy returns another machine that holds the same.
func (m machine) copy() machine {
	GinkgoHelper()
	h, err := fakehost.New(m.Node())
	Expect(err).NotTo(HaveOccurred())
	return machine{h}
}

// pausing is an engine whose first copy waits before it begins.
type pausing struct {
	fakehost.Engine
	copies      atomic.Int32
	began, goOn chan struct{}
}

func (p *pausing) Copy(ctx context.Context, c blockcopy.Copy) (blockcopy.Result, error) {
	if p.copies.Add(1) == 1 {
		close(p.began)
		<-p.goOn
	}
	return p.Engine.Copy(ctx, c)
}

// lvm runs a command line; it has no words with spaces.
func (m machine) lvm(ctx context.Context, argv ...string) {
	GinkgoHelper()
	_, err := m.Run(ctx, argv...)
	Expect(err).NotTo(HaveOccurred())
}

// do runs a command line that is given in one piece.
func (m machine) do(ctx context.Context, lines ...string) {
	GinkgoHelper()
	for _, l := range lines {
		m.lvm(ctx, strings.Fields(l)...)
	}
}

// find returns a logical volume, and whether it is there.
func (m machine) find(name string) (fakehost.LogicalVolume, bool) {
	for _, lv := range m.Node().VolumeGroups[0].LogicalVolumes {
		if lv.Name == name {
			return lv, true
		}
	}
	return fakehost.LogicalVolume{}, false
}

// named returns what a change calls a logical volume.
func (m machine) named(name string) change.LV {
	GinkgoHelper()
	lv, ok := m.find(name)
	Expect(ok).To(BeTrue(), "no %s", name)
	return change.LV{VolumeGroup: "vg0", Name: name, UUID: lv.UUID}
}

// tags returns our tags, without their common beginning.
func (m machine) tags(name string) []string {
	lv, _ := m.find(name)
	var tags []string
	for _, t := range lv.Tags {
		tags = append(tags, strings.TrimPrefix(t, "volreconciler/"))
	}
	slices.Sort(tags)
	return tags
}

// content renders what is in a logical volume, in MiB.
func (m machine) content(name string) []string {
	var parts []string
	for _, s := range m.Content("vg0/" + name) {
		parts = append(parts, fmt.Sprintf("%g-%g %s", float64(s.From)/mib, float64(s.To)/mib, s.Text))
	}
	return parts
}

// write fills a part of a logical volume.
func (m machine) write(name string, from, to uint64, text string) {
	GinkgoHelper()
	Expect(m.Fill("vg0/"+name, from*mib, to*mib, text)).To(Succeed())
}

// active reports whether a logical volume is active.
func (m machine) active(name string) bool {
	lv, _ := m.find(name)
	return lv.Active
}

// images are those that there are, by their key.
type images struct {
	engine fakehost.Engine
	known  map[string][]fakehost.Span
}

func (i images) Write(ctx context.Context, image change.Image, to jobs.Target) error {
	spans, ok := i.known[image.Key]
	if !ok {
		return fmt.Errorf("%w: there is no image %s", change.ErrSource, image.Path)
	}
	return i.engine.WriteImage(ctx, spans, to.Path, int64(to.Size), int64(to.From), to.ReadsZero,
		func(bytes int64) error { return to.Checkpoint(uint64(bytes)) })
}

// aDisk is the image that there is.
var aDisk = change.Image{Key: "aDisk", Path: "/images/disk.raw"}

// backups are those that there are, by their IDs. Each is of the size of its volume.
type backups struct {
	engine fakehost.Engine
	known  map[string][]fakehost.Span
	// damaged are those that are found not to have their digests when they have been restored.
	damaged map[string]bool
}

func (b backups) Restore(ctx context.Context, from change.Backup, to jobs.Target) error {
	spans, ok := b.known[from.ID]
	if !ok {
		return fmt.Errorf("%w: there is no %s", change.ErrSource, from)
	}
	err := b.engine.WriteImage(ctx, spans, to.Path, int64(to.Size), int64(to.From), to.ReadsZero,
		func(bytes int64) error { return to.Checkpoint(uint64(bytes)) })
	if err == nil && b.damaged[from.ID] {
		err = fmt.Errorf("%w: %s is damaged", change.ErrSource, from)
	}
	return err
}

// aBackup is a backup that there is, and theDamaged one another.
var (
	aBackup    = change.Backup{Repository: change.Repository{Name: "offsite"}, ID: strings.Repeat("ab", 32), Size: 16 * mib}
	theDamaged = change.Backup{Repository: change.Repository{Name: "offsite"}, ID: strings.Repeat("cd", 32), Size: 16 * mib}
)

func backupsOn(engine fakehost.Engine) backups {
	content := []fakehost.Span{{From: 0, To: 6 * mib, Text: "data"}}
	return backups{engine, map[string][]fakehost.Span{aBackup.ID: content, theDamaged.ID: content}, map[string]bool{theDamaged.ID: true}}
}

// apply applies a change to the machine through a tap.
func apply(ctx context.Context, tap *fakehost.Tap, c change.Change) error {
	engine := fakehost.Engine{Devices: tap}
	known := map[string][]fakehost.Span{aDisk.Key: {{From: 2 * mib, To: 9 * mib, Text: "disk"}}}
	a := jobs.New(tap, lvm.New(tap, tap), engine, images{engine, known}, nil)
	a.UseBackups(backupsOn(engine))
	return a.Apply(ctx, c)
}

func (m machine) apply(ctx context.Context, c change.Change) error {
	return apply(ctx, &fakehost.Tap{Host: m.Host}, c)
}

// commands counts the calls that change the machine, and returns them.
func (m machine) commands(ctx context.Context, c change.Change) ([]string, error) {
	var calls []string
	err := apply(ctx, &fakehost.Tap{Host: m.Host, Before: func(c fakehost.Call) error {
		if c.Changes() {
			calls = append(calls, c.String())
		}
		return nil
	}}, c)
	return calls, err
}

var errKilled = errors.New("killed")

// applyUntil applies a change and dies before or after a call that changes the
// machine, from 1. It reports whether it came to that.
func (m machine) applyUntil(ctx context.Context, c change.Change, call int, after bool) bool {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	calls, dead := 0, false
	die := func(now bool) error {
		if now {
			dead = true
			kill()
		}
		if dead {
			return errKilled
		}
		return nil
	}
	_ = apply(ctx, &fakehost.Tap{Host: m.Host,
		Before: func(c fakehost.Call) error {
			if c.Changes() && !dead {
				calls++
			}
			return die(c.Changes() && calls == call && !after)
		},
		After: func(c fakehost.Call, err error) error {
			return errors.Join(die(c.Changes() && calls == call && after), err)
		},
	}, c)
	return dead
}

// The tags of the specs.
var (
	ownTags    = " --addtag volreconciler/kind=volume --addtag volreconciler/name=v"
	populating = ownTags + " --addtag " + ondisk.PhaseTag(ondisk.Populating) + " --addtag volreconciler/source=volume:s"
	reverting  = ownTags + " --addtag " + ondisk.PhaseTag(ondisk.Reverting) + " --addtag volreconciler/revert=r2 --addtag volreconciler/reverted=r1"
	toClear    = ownTags + " --addtag " + ondisk.PhaseTag(ondisk.Clearing)
)

func size(mibs uint64) spec.Size { return spec.Size(mibs * mib) }
