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

// Job is a change that moves data, and takes as long as that takes. A pass begins
// it and does not wait for it.
//
// Besides what [Actuator] asks for: its ctx ends it soon, not only between two
// calls; what it had done by then is found by the next attempt. It tells of its
// progress by [Report].
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

// SameJob reports whether two jobs do the same to the same thing. How much of it was
// done before does not count: that changes while the job runs.
func SameJob(a, b Job) bool { return reflect.DeepEqual(fromStart(a), fromStart(b)) }

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
	default:
		return j // compared as it is: at worst it is begun anew
	}
}

type progressKey struct{}

// WithProgress returns a context in which [Report] calls tell.
func WithProgress(ctx context.Context, tell func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

// Report tells whoever wants to know how far a job has come.
func Report(ctx context.Context, p Progress) {
	if tell, ok := ctx.Value(progressKey{}).(func(Progress)); ok {
		tell(p)
	}
}

type asideKey struct{}

// WithAside returns a context in which [Aside] calls let.
func WithAside(ctx context.Context, let func(wait func() error) error) context.Context {
	return context.WithValue(ctx, asideKey{}, let)
}

// Aside calls wait, in which a job waits for something and moves no data on this machine:
// others have its turn meanwhile. It returns when the job has its turn again, or wait's
// error at once: then the job is to end.
func Aside(ctx context.Context, wait func() error) error {
	if let, ok := ctx.Value(asideKey{}).(func(func() error) error); ok {
		return let(wait)
	}
	return wait()
}

// ErrSource means that the data to be copied is at fault, and that trying again
// does not help until somebody mends it.
var ErrSource = errors.New("the source cannot be used")

// dataLane is a lane of its own: what it waits for is a device, not LVM.
func dataLane(lv LV) string { return "data/" + lv.String() }

// CloneVolume makes a volume that holds what another one in its thin pool holds,
// in an instant: a thin snapshot that is active, writable, and nobody's snapshot.
type CloneVolume struct {
	LV
	Origin     string   `json:"origin"`
	OriginUUID string   `json:"originUUID"`
	Tags       []string `json:"tags"`
}

// Populate fills a logical volume that is marked ondisk.Populating, and takes
// the mark away when all of it has reached the device.
type Populate struct {
	LV
	// Volume is the logical volume to copy, if it is one, and Size how much of it.
	Volume LV        `json:"volume,omitzero"`
	Size   spec.Size `json:"size,omitempty"`
	// Image is the image to write, if it is one.
	Image *Image `json:"image,omitempty"`
	// Done is how much of that reached the device before, for people to read. What
	// counts is the checkpoint on the logical volume when the job begins, if it is one
	// of the very same content: of an image that means its bytes, not its name.
	Done spec.Size `json:"done,omitempty"`
	// ReadsZero is true if what nobody wrote to it reads as zeroes. Zeroes need not
	// be written then, unless a checkpoint says that something else was begun to be
	// copied into it before. For that, one is set before the first byte is written.
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

// Restore puts a logical volume that is marked ondisk.Reverting back to what a
// snapshot of it holds, and then marks the request as done instead.
type Restore struct {
	LV
	Snapshot LV        `json:"snapshot"`
	Size     spec.Size `json:"size"`
	Done     spec.Size `json:"done,omitempty"`
	Request  string    `json:"request"`
}

// StartClearing marks a logical volume as ondisk.Clearing, under the same
// conditions as those of [RemoveLV]. From then on it is no object's.
type StartClearing struct {
	LV
	Tags []string `json:"tags"`
}

// SplitSnapshot makes a logical volume of its own of the copy-on-write space of a
// snapshot that is marked ondisk.Clearing, which can be written then.
type SplitSnapshot struct{ LV }

// Clear destroys what is in a logical volume that is marked ondisk.Clearing,
// and removes it then.
type Clear struct {
	LV
	Method spec.Clear `json:"method"`
	Size   spec.Size  `json:"size"`
	Done   spec.Size  `json:"done,omitempty"`
}

// WriteImage writes what is in a logical volume, which nobody writes to, to an image
// file that is not there, and its checksum to a file beside it. The two are there
// only when all of the image is on disk.
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
func (c Populate) Bytes() uint64 { return left(c.Size, c.Done) }

// Bytes is what is left to compare.
func (c Restore) Bytes() uint64 { return left(c.Size, c.Done) }

// Bytes is what is left to clear.
func (c Clear) Bytes() uint64 { return left(c.Size, c.Done) }

// Bytes is the size of the logical volume.
func (c WriteImage) Bytes() uint64 { return uint64(c.Size) }

func (c CloneVolume) String() string {
	return fmt.Sprintf("create thin volume %s as a clone of %s", c.LV, c.Origin)
}

func (c Populate) String() string {
	from := c.Volume.String()
	if c.Image != nil {
		from = "image " + c.Image.Path
		if c.Image.URL != "" {
			from += publicurl.Of(c.Image.URL)
		}
	}
	return fmt.Sprintf("fill %s from %s%s", c.LV, from, resumed(c.Done))
}

func (c Restore) String() string {
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

// left is what there is to do behind a checkpoint, which may be of more than the size that
// a plan saw.
func left(size, done spec.Size) uint64 { return uint64(size - min(size, done)) }

func resumed(done spec.Size) string {
	if done == 0 {
		return ""
	}
	return fmt.Sprintf(", continuing after %s", done)
}
