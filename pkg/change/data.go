package change

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/publicurl"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Job is a change that moves data, so it may take long. A pass begins it and does not
// wait for it.
//
// Besides the rules of [Actuator.Apply]: ctx ends a job soon, not only between two calls,
// and the next attempt continues from what it had done by then. It reports its progress
// by [ReportProgress].
type Job interface {
	Change
	// Bytes is how much there is to do, as far as that is known; 0: it is not.
	Bytes() uint64
}

// Progress is how far a job has come.
type Progress struct {
	// Done and Total are in bytes; Total 0: not known yet.
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
	// Rate is in bytes per second, of late.
	Rate uint64 `json:"rate"`
	// Left is the time until it ends at that rate; 0: not known.
	Left time.Duration `json:"left"`
}

// IsSameJob reports whether two jobs do the same to the same object. How much of it was
// done before is ignored: that changes while the job runs.
func IsSameJob(a, b Job) bool { return reflect.DeepEqual(fromStart(a), fromStart(b)) }

// fromStart returns a job as it was when nothing was done yet.
func fromStart(j Job) Job {
	switch j := j.(type) {
	case Populate:
		j.Done = 0
		return j
	case Restore:
		j.Done = 0
		return j
	case Clear:
		j.Done = 0
		return j
	case Stage:
		j.Done = 0
		return j
	case BackUp:
		j.Description, j.Identity = "", "" // the description of the volume is that of the beginning
		return j
	default:
		return j // compared as it is: at worst it is begun anew
	}
}

type progressKey struct{}

// WithProgress returns a context in which [ReportProgress] calls tell.
func WithProgress(ctx context.Context, tell func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

// ReportProgress passes on how far a job has come, to the function of [WithProgress].
func ReportProgress(ctx context.Context, p Progress) {
	if tell, ok := ctx.Value(progressKey{}).(func(Progress)); ok {
		tell(p)
	}
}

type asideKey struct{}

// WithWaiter returns a context in which [WaitAside] calls let.
func WithWaiter(ctx context.Context, let func(wait func() error) error) context.Context {
	return context.WithValue(ctx, asideKey{}, let)
}

// WaitAside calls wait, in which a job waits for something and moves no data on this machine:
// other jobs have its turn meanwhile. It returns when the job has its turn again, or wait's
// error at once: then the job must end.
func WaitAside(ctx context.Context, wait func() error) error {
	if let, ok := ctx.Value(asideKey{}).(func(func() error) error); ok {
		return let(wait)
	}
	return wait()
}

// ErrSource means that the data to be copied is unusable, and that a retry does not
// help until somebody corrects it.
var ErrSource = errors.New("the source cannot be used")

// dataLane is a lane of its own: what it waits for is a device, not LVM.
func dataLane(lv LV) string { return "data/" + lv.String() }

// CloneVolume makes an instant copy of a logical volume in the same thin pool: a thin
// snapshot that is active, writable, and no Snapshot's.
type CloneVolume struct {
	LV
	Origin     string   `json:"origin"`
	OriginUUID string   `json:"originUUID"`
	Tags       []string `json:"tags"`
}

// Populate fills a logical volume that is marked ondisk.Populating, and removes
// the mark when all of it has reached the device.
type Populate struct {
	LV
	// Volume is the logical volume to copy, if it is one, and Size how much of it.
	Volume LV        `json:"volume,omitzero"`
	Size   spec.Size `json:"size,omitempty"`
	// Image is the image to write, if it is one.
	Image *Image `json:"image,omitempty"`
	// Backup is the backup to restore, if it is one.
	Backup *Backup `json:"backup,omitempty"`
	// Done is how much of that reached the device before, for people to read. The job
	// itself starts from the checkpoint on the logical volume, if it is one of the very
	// same content: of an image that means its bytes, not its name.
	Done spec.Size `json:"done,omitempty"`
	// ReadsZero is true if blocks that nobody wrote to read as zeroes. Zeroes need not
	// be written then, unless a checkpoint says that another content was partly copied
	// before. That is why a checkpoint is set before the first byte is written.
	ReadsZero bool `json:"readsZero"`
}

// Image is an image file to write to a volume.
type Image struct {
	// Key names it: another file, place, format or checksum has another key.
	Key    string           `json:"key"`
	Path   string           `json:"path,omitempty"`
	URL    string           `json:"url,omitempty"`
	Format spec.ImageFormat `json:"format,omitempty"`
	SHA256 string           `json:"sha256,omitempty"`
	// BlockSize is that of the logical blocks that the image was made for; 0:
	// [spec.DefaultBlockSize].
	BlockSize int `json:"blockSize,omitempty"`
}

// MarshalJSON returns the image with the public form of its URL, which may hold a permission. Key
// tells two apart all the same.
func (i Image) MarshalJSON() ([]byte, error) {
	type plain Image // without this method
	if i.URL != "" {
		i.URL = publicurl.Of(i.URL)
	}
	return json.Marshal(plain(i))
}

// Restore reverts a logical volume that is marked ondisk.Reverting to the content of
// a snapshot, and then marks the request as done instead.
type Restore struct {
	LV
	Snapshot LV `json:"snapshot,omitzero"`
	// Backup is the backup to restore, if it is no snapshot.
	Backup  *Backup   `json:"backup,omitempty"`
	Size    spec.Size `json:"size"`
	Done    spec.Size `json:"done,omitempty"`
	Request string    `json:"request"`
}

// StartClearing marks a logical volume as ondisk.Clearing, under the same
// conditions as those of [RemoveLV]. From then on it belongs to no object.
type StartClearing struct {
	LV
	Tags []string `json:"tags"`
}

// SplitSnapshot turns the copy-on-write space of a snapshot that is marked
// ondisk.Clearing into a logical volume of its own, which can then be wiped.
type SplitSnapshot struct{ LV }

// Clear wipes a logical volume that is marked ondisk.Clearing, and then removes
// it.
type Clear struct {
	LV
	Method spec.Clear `json:"method"`
	Size   spec.Size  `json:"size"`
	Done   spec.Size  `json:"done,omitempty"`
}

// WriteImage writes the content of a logical volume, which nobody writes to, to a new
// image file, and its checksum to a file beside it. The two files appear only when all
// of the image is on disk.
type WriteImage struct {
	Path     string           `json:"path"`
	Format   spec.ImageFormat `json:"format"`
	Compress bool             `json:"compress,omitempty"`
	Source   LV               `json:"source"`
	Size     spec.Size        `json:"size"`
}

func (CloneVolume) sealed()   {}
func (Populate) sealed()      {}
func (Restore) sealed()       {}
func (StartClearing) sealed() {}
func (SplitSnapshot) sealed() {}
func (Clear) sealed()         {}
func (WriteImage) sealed()    {}

// Lane is the logical volume's data.
func (c Populate) Lane() string { return dataLane(c.LV) }

// Lane is the logical volume's data.
func (c Restore) Lane() string { return dataLane(c.LV) }

// Lane is the logical volume's data.
func (c Clear) Lane() string { return dataLane(c.LV) }

// Part is everything: initiators may write to what the image is made of.
func (WriteImage) Part() observe.Part { return observe.Everything }

// Lane is the file.
func (c WriteImage) Lane() string { return "image" + c.Path }

// System is the data in logical volumes.
func (Populate) System() observe.System { return observe.Data }

// System is the data in logical volumes.
func (Restore) System() observe.System { return observe.Data }

// System is the data in logical volumes.
func (Clear) System() observe.System { return observe.Data }

// System is the data in logical volumes.
func (WriteImage) System() observe.System { return observe.Data }

// Bytes is what is left to copy; of an image it is not known.
func (c Populate) Bytes() uint64 { return bytesLeft(c.Size, c.Done) }

// Bytes is what is left to compare.
func (c Restore) Bytes() uint64 { return bytesLeft(c.Size, c.Done) }

// Bytes is what is left to wipe.
func (c Clear) Bytes() uint64 { return bytesLeft(c.Size, c.Done) }

// Bytes is the size of the logical volume.
func (c WriteImage) Bytes() uint64 { return uint64(c.Size) }

func (c CloneVolume) String() string {
	return fmt.Sprintf("create thin volume %s as a clone of %s", c.LV, c.Origin)
}

func (c Populate) String() string {
	from := c.Volume.String()
	switch {
	case c.Backup != nil:
		from = c.Backup.String()
	case c.Image != nil:
		from = "image " + c.Image.Path
		if c.Image.URL != "" {
			from += publicurl.Of(c.Image.URL)
		}
	}
	return fmt.Sprintf("fill %s from %s%s", c.LV, from, resumed(c.Done))
}

func (c Restore) String() string {
	if c.Backup != nil {
		return fmt.Sprintf("revert %s to %s%s", c.LV, c.Backup, resumed(c.Done))
	}
	return fmt.Sprintf("revert %s to its snapshot %s%s", c.LV, c.Snapshot, resumed(c.Done))
}

func (c StartClearing) String() string {
	return fmt.Sprintf("remove %s and the data in it, which is wiped before the space is reused", c.LV)
}

func (c SplitSnapshot) String() string {
	return fmt.Sprintf("split off the copy-on-write space of snapshot %s, to wipe it", c.LV)
}

func (c Clear) String() string {
	how := "overwrite"
	if c.Method == spec.ClearDiscard {
		how = "discard"
	}
	return fmt.Sprintf("%s the data in %s, then remove it%s", how, c.LV, resumed(c.Done))
}

func (c WriteImage) String() string {
	compressed := ""
	if c.Compress {
		compressed = "compressed "
	}
	return fmt.Sprintf("write %s to %s%s image %s", c.Source, compressed, c.Format, c.Path)
}

// bytesLeft is what is left to do after a checkpoint, which may be beyond the size that a plan
// saw.
func bytesLeft(size, done spec.Size) uint64 { return uint64(size - min(size, done)) }

func resumed(done spec.Size) string {
	if done == 0 {
		return ""
	}
	return fmt.Sprintf(", continuing after %s", done)
}
