package scenario

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// garbage is what is in every extent that is free in the beginning.
const garbage = "garbage"

// Used is [Empty], but that no free extent reads as zeroes.
func Used() fakehost.Node {
	n := Empty()
	vg := &n.VolumeGroups[0]
	vg.Leftovers = []fakehost.Span{{From: 0, To: vg.ExtentSize * vg.Extents, Text: garbage}}
	return n
}

// Data returns all that is in the logical volumes, by vg/lv, in MiB.
func Data(f *Fake) map[string]string {
	data := map[string]string{}
	for _, vg := range f.Node().VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if lv.Type != "thinPool" {
				data[vg.Name+"/"+lv.Name] = spans(f.Content(vg.Name + "/" + lv.Name))
			}
		}
	}
	return data
}

func spans(all []fakehost.Span) string {
	var parts []string
	for _, s := range all {
		parts = append(parts, fmt.Sprintf("%g-%g %s", float64(s.From)/mib, float64(s.To)/mib, s.Text))
	}
	return strings.Join(parts, ", ")
}

// Readable returns what those can read who get the free extents next, of what the
// agent had to clear.
func Readable(n fakehost.Node) []string {
	var found []string
	for _, vg := range n.VolumeGroups {
		for _, s := range vg.Leftovers {
			if s.Text != garbage {
				found = append(found, fmt.Sprintf("in free extents of %s: %s", vg.Name, s.Text))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// Unfinished returns the logical volumes that are there only while data is moved,
// and those that say that theirs is.
func Unfinished(n fakehost.Node) []string {
	var found []string
	for _, vg := range n.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if slices.Contains(lv.Tags, ondisk.TagKind+ondisk.KindSource) || moving(lv) {
				found = append(found, fmt.Sprintf("%s/%s with %v", vg.Name, lv.Name, lv.Tags))
			}
		}
	}
	return found
}

func moving(lv fakehost.LogicalVolume) bool {
	return slices.ContainsFunc(lv.Tags, func(t string) bool {
		return strings.HasPrefix(t, ondisk.TagPhase) || strings.HasPrefix(t, ondisk.TagCheckpoint)
	})
}

// Exposed returns the logical volumes that somebody could read or write over the
// network while what is in them is neither the old nor the new. One that is reverted
// still is the old until the first checkpoint.
func Exposed(n fakehost.Node) []string {
	var found []string
	for _, vg := range n.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			phase := observe.LogicalVolume{Tags: lv.Tags}.Phase()
			untouched := phase == ondisk.Reverting && !slices.ContainsFunc(lv.Tags, func(t string) bool { return strings.HasPrefix(t, ondisk.TagCheckpoint) })
			if phase != "" && !untouched && served(n, "/dev/"+vg.Name+"/"+lv.Name) {
				found = append(found, fmt.Sprintf("%s/%s with %v", vg.Name, lv.Name, lv.Tags))
			}
		}
	}
	return found
}

// served reports whether a LUN of LIO is a device's.
func served(n fakehost.Node, device string) bool {
	var backstores []string
	for _, e := range n.ConfigFS {
		if path.Base(e.Path) == "udev_path" && e.Text != nil && strings.TrimSpace(*e.Text) == device {
			backstores = append(backstores, path.Dir(e.Path))
		}
	}
	return slices.ContainsFunc(n.ConfigFS, func(e fakehost.Entry) bool { return e.Link != "" && slices.Contains(backstores, e.Link) })
}

// diskImage is what is in the one image file that there is, /images/disk.raw.
const diskImage = "2-9 disk"

// imageFiles reads that, and writes image files.
type imageFiles struct{ fakehost.Engine }

var (
	_ jobs.Images     = imageFiles{}
	_ jobs.ImageFiles = writtenFiles{}
)

// Write writes an image to a device, see [jobs.Images].
func (i imageFiles) Write(ctx context.Context, image change.Image, to jobs.Target) error {
	if image.Path != "/images/disk.raw" {
		return fmt.Errorf("%w: there is no image %s", change.ErrSource, image.Path)
	}
	return i.WriteImage(ctx, []fakehost.Span{{From: 2 * mib, To: 9 * mib, Text: "disk"}}, to.Path, int64(to.Size), int64(to.From), to.ReadsZero,
		func(bytes int64) error { return to.Checkpoint(uint64(bytes)) })
}

// writtenFiles writes image files.
type writtenFiles struct{ fakehost.Engine }

// Write writes a device to an image file, see [jobs.ImageFiles].
func (w writtenFiles) Write(ctx context.Context, f jobs.ImageFile) error {
	return w.ExportImage(ctx, f.Device, int64(f.Size), f.Path)
}
