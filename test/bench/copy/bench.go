package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// bench has a half-empty source and a target.
type bench struct {
	dir            string
	size           int64
	files          [2]string // behind source and target
	source, target string
	loops          bool
	digest         string // of the source
	zeroes         string // of as much zeroes
}

func newBench(dir string, size int64) (b *bench, err error) {
	dir, err = os.MkdirTemp(dir, "copy-bench-")
	if err != nil {
		return nil, err
	}
	b = &bench{dir: dir, size: size, loops: os.Getuid() == 0}
	defer func() {
		if err != nil {
			b.remove()
		}
	}()
	b.files = [2]string{filepath.Join(dir, "source"), filepath.Join(dir, "target")}
	b.source, b.target = b.files[0], b.files[1]
	for _, f := range b.files {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			return b, err
		}
		if err := os.Truncate(f, size); err != nil {
			return b, err
		}
	}
	if b.zeroes, err = blockcopy.Digest(context.Background(), b.files[1], size, nil); err != nil {
		return b, err
	}
	if err := fill(b.files[0], size, true); err != nil {
		return b, err
	}
	// The first data ever written to a file is slow on many a disk.
	if err := fill(b.files[1], size, false); err != nil {
		return b, err
	}
	if b.digest, err = blockcopy.Digest(context.Background(), b.files[0], size, nil); err != nil {
		return b, err
	}
	if err := command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", b.files[0], b.image()); err != nil {
		return b, err
	}
	if b.loops {
		if b.source, err = attach(b.files[0]); err != nil {
			return b, err
		}
		if b.target, err = attach(b.files[1]); err != nil {
			return b, err
		}
	}
	return b, nil
}

// image is the source as a qcow2 image.
func (b *bench) image() string { return filepath.Join(b.dir, "image.qcow2") }

// from is what a contest copies from.
func (b *bench) from(c contest) string {
	if c.image {
		return b.image()
	}
	return b.source
}

func (b *bench) remove() {
	for i, dev := range []string{b.source, b.target} {
		if dev != b.files[i] {
			_ = exec.Command("losetup", "--detach", dev).Run()
		}
	}
	_ = os.RemoveAll(b.dir)
}

func attach(file string) (string, error) {
	out, err := exec.Command("losetup", "--direct-io=on", "--find", "--show", file).CombinedOutput()
	if err != nil {
		return file, fmt.Errorf("losetup %s: %w: %s", file, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// fill writes random data: everywhere, or to a half of it in pieces of 64 KiB to
// 8 MiB, as a file system that has been in use for a while would have it.
func fill(path string, size int64, half bool) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_DIRECT, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
	buf, err := unix.Mmap(-1, 0, 8<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Munmap(buf)) }()
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(buf)
	for off, n := int64(0), int64(len(buf)); off < size; off += n {
		if half {
			n = int64(64<<10) << (r.Uint64() % 8)
			_, _ = r.Read(buf[:n])
		}
		if _, err := f.WriteAt(buf[:min(n, size-off)], off); err != nil {
			return err
		}
		if half {
			off += n
		}
	}
	return nil
}

// emptyTarget makes the target zero, as a new volume of a pool that has space in
// store: where a file system under it first had to find some, that would be all
// that is measured.
func (b *bench) emptyTarget() error {
	length := strconv.FormatInt(b.size, 10)
	if command("fallocate", "--zero-range", "--length", length, b.files[1]) == nil {
		return nil
	}
	return command("fallocate", "--punch-hole", "--length", length, b.files[1]) // tmpfs
}

// usedTarget makes the target as a volume that held other data.
func (b *bench) usedTarget() error { return fill(b.target, b.size, false) }

// same fails if the target is not as the source.
func (b *bench) same() error { return b.has(b.digest) }

// zero fails if the target is not zero.
func (b *bench) zero() error { return b.has(b.zeroes) }

func (b *bench) has(digest string) error {
	got, err := blockcopy.Digest(context.Background(), b.target, b.size, nil)
	if err == nil && got != digest {
		err = errors.New("the target does not hold what it should")
	}
	return err
}

// ours runs this program as the measured process.
func (b *bench) ours(c contest) (time.Duration, int64, error) {
	var kib int64
	d, err := b.timed(c, func() error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.Command(self, "-as", c.name, "-size", strconv.FormatInt(b.size>>20, 10), b.from(c), b.target)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return err
		}
		kib, err = strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		return err
	})
	return d, (kib + 1023) >> 10, err
}

// run runs a tool.
func (b *bench) run(c contest, args []string) (time.Duration, error) {
	return b.timed(c, func() error { return command(args[0], args[1:]...) })
}

func (b *bench) timed(c contest, run func() error) (time.Duration, error) {
	if err := c.prepare(b); err != nil {
		return 0, err
	}
	// What is left to be written, or cached, is no part of the next run.
	if err := command("sync", b.files[0], b.files[1]); err != nil {
		return 0, err
	}
	if b.loops {
		if err := command("blockdev", "--flushbufs", b.source, b.target); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	if err := run(); err != nil {
		return 0, err
	}
	d := time.Since(start)
	if os.Getenv("VERBOSE") != "" {
		_, _ = fmt.Fprintf(os.Stderr, "%s %s\n", c.name, d)
	}
	return d, c.check(b)
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
