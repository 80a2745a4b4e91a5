package qemuimg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/internal/limited"
	"github.com/volreconciler/volreconciler/pkg/lvdevice"
)

// ErrTargetBusy is a target that somebody has open, or that an earlier copy has not
// let go of yet.
var ErrTargetBusy = errors.New("the target is in use")

// Conversion copies an image, or a window of it, to the same place of a device.
type Conversion struct {
	Source Source
	// Target is a block device or a regular file of at least the disk's size. It
	// is opened for this conversion alone.
	Target string
	// TargetUUID, unless it is empty, is that of the logical volume that it has to be. If it
	// leads elsewhere by now, the error is [lvdevice.ErrOther].
	TargetUUID string
	// TargetIsZero says that the window is known to read as zeroes, as in a new thin
	// volume: zeroes are then skipped instead of written. If this is not so, the copy is
	// corrupt.
	TargetIsZero bool
	// From and To are the window in bytes, multiples of 512; To 0 is the end of
	// the disk. A caller that copies window by window can continue after the last
	// complete window.
	From, To int64
	// Limit is the bandwidth in bytes per second of what qemu-img copies; 0: none.
	Limit int64
	// Limiter is that of what is copied by its map; nil: none.
	Limiter *blockcopy.Limiter
	// Progress, if given, is called with the bytes of the window that are done, from
	// one goroutine at a time.
	Progress func(done, total int64)
}

// A conversion needs 30 MiB; address space for its threads' stacks and the largest
// tables that qemu accepts comes on top. Decompression takes a second of processor time for 50 MB
// or more; a hundredth of that is still no reason to kill it.
const (
	convertMemory = 2 << 30
	convertCPU    = 10 * time.Minute
	cpuPerSecond  = 1 << 20
)

// Zeroes in data are left out, or written as such, from this length on: the smallest
// chunk of a thin pool.
const sparseSize = "64k"

// Convert copies, and returns when the data is on the device. Bytes of the target outside
// the window keep what they hold, those behind the end of the disk too. A source that
// changed meanwhile is [image.ErrChanged], and a target that somebody else has open is
// [ErrTargetBusy]. Whatever the error, the window's content is undefined afterwards.
func (t Tool) Convert(ctx context.Context, c Conversion) error {
	from, to := c.From, c.To
	end := c.Source.header.VirtualSize
	if to == 0 {
		to = end
	}
	if from < 0 || from >= to || to > end || from%512 != 0 || to%512 != 0 {
		return fmt.Errorf("the range %d to %d is outside of the disk (%d bytes), or not aligned to sectors", from, to, end)
	}
	if err := c.Source.file.Unchanged(); err != nil {
		return err
	}
	target, driver, err := openTarget(c.Target, c.TargetUUID, to)
	if err != nil {
		return fmt.Errorf("cannot open the target %s: %w", c.Target, err)
	}
	err = t.copy(ctx, c, target, driver, from, to)
	if err == nil {
		if err = target.Sync(); err != nil {
			err = fmt.Errorf("cannot write %s: %w", c.Target, err)
		}
	}
	// Whoever wrote into the image while it was read decides what else was read.
	return errors.Join(err, c.Source.file.Unchanged(), target.Close())
}

// copy copies by the map if all of the window lies in the file as it is. Otherwise qemu-img copies:
// it reads what is compressed, and says what is wrong with an image whose map cannot be read.
func (t Tool) copy(ctx context.Context, c Conversion, target *os.File, driver string, from, to int64) error {
	if pieces, ok := t.pieces(ctx, c.Source, from, to); ok {
		return gather(ctx, c, target, pieces, to-from)
	}
	return t.convert(ctx, c, target, driver, from, to)
}

func (t Tool) convert(ctx context.Context, c Conversion, target *os.File, driver string, from, to int64) error {
	source := map[string]any{
		"driver": "raw", "offset": from, "size": to - from,
		"file": sourceNode(c.Source.header.Format, true),
	}
	sink := fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=%s,file.filename=/proc/self/fd/4", from, to-from, driver)
	args := []string{"convert", "-p", "-n", "-W", "-m", "8", "-S", sparseSize,
		"-T", cacheMode(c.Source.file.File, unix.O_RDONLY), "-t", cacheMode(target, unix.O_RDWR)}
	if c.TargetIsZero {
		args = append(args, "--target-is-zero")
	}
	if c.Limit > 0 {
		args = append(args, "-r", strconv.FormatInt(c.Limit, 10))
	}
	args = append(args, "--target-image-opts", jsonName(source), sink)
	err := limited.Run(ctx, limited.Command{
		Limits: limited.Limits{
			Memory: convertMemory, Files: openFiles,
			CPU: convertCPU + time.Duration((to-from)/cpuPerSecond)*time.Second,
		},
		Argv:   t.argv(args...),
		Files:  []*os.File{c.Source.file.File, target},
		Stdout: &progress{total: to - from, report: c.Progress},
	})
	if err != nil {
		return fmt.Errorf("cannot copy %s to %s: %w", c.Source.file.Path(), c.Target, err)
	}
	return nil
}

// openTarget opens a target so that nobody else has it: a second conversion, and an
// orphan of an agent that was killed, inherits the claim with the descriptor and
// keeps it as long as it runs. The driver is the one that qemu has for it.
func openTarget(path, uuid string, atLeast int64) (f *os.File, driver string, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, "", err
	}
	flags := os.O_RDWR | unix.O_CLOEXEC | unix.O_NONBLOCK
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		// On a block device O_EXCL fails if it is mounted, held by the device mapper, or opened
		// so by somebody else; it does not by itself hinder those who open without.
		driver, flags = "host_device", flags|unix.O_EXCL
	case unix.S_IFREG:
		driver = "file"
	default:
		return nil, "", errors.New("not a block device or regular file")
	}
	f, err = os.OpenFile(path, flags, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, "", fmt.Errorf("%w: %w", ErrTargetBusy, err)
	}
	if err != nil {
		return nil, "", err
	}
	if err := errors.Join(lvdevice.Check(int(f.Fd()), uuid), claim(f, st, driver, atLeast)); err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, driver, nil
}

func claim(f *os.File, seen unix.Stat_t, driver string, atLeast int64) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Dev != seen.Dev || st.Ino != seen.Ino || st.Mode&unix.S_IFMT != seen.Mode&unix.S_IFMT {
		return errors.New("it was replaced while being opened")
	}
	if driver == "file" {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return fmt.Errorf("%w: flock: %w", ErrTargetBusy, err)
		}
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size < atLeast {
		return &image.Refusal{Reason: image.ErrTooLarge, Detail: fmt.Sprintf("the copy needs %d bytes, but the target has %d", atLeast, size),
			Advice: "enlarge the target"}
	}
	return nil
}

// cacheMode is none, which is direct I/O, where the file system can do it: a copy then
// does not push everything else out of memory. Otherwise it is writeback.
func cacheMode(f *os.File, access int) string {
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), access|unix.O_DIRECT|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return "writeback"
	}
	// There are file systems that refuse direct reads only when asked for one, and such that want
	// more alignment than a sector; qemu finds out itself what these want.
	_ = unix.Close(fd)
	return "none"
}
