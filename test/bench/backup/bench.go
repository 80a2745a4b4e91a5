package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// password is that of both repositories.
const password = "password-of-a-benchmark"

// clump is the smallest piece of data, and of a hole: what a file system allocates at once.
const clump = 8 << 20

// bench has a half-empty volume, a target, and a repository for each side.
type bench struct {
	dir            string
	program        string
	size           int64
	files          [2]string // behind source and target
	source, target string
	mapped         []blockcopy.Extent
	random         *rand.ChaCha8
	job            job // of ours; its parent is the latest backup
}

func newBench(dir string, size int64, program string) (b *bench, err error) {
	if dir, err = os.MkdirTemp(dir, "backup-bench-"); err != nil {
		return nil, err
	}
	b = &bench{dir: dir, size: size, program: program, random: rand.NewChaCha8([32]byte{1})}
	b.files = [2]string{filepath.Join(dir, "source"), filepath.Join(dir, "target")}
	defer func() {
		if err != nil {
			b.remove()
		}
	}()
	for i, device := range []*string{&b.source, &b.target} {
		if err := os.WriteFile(b.files[i], nil, 0o600); err != nil {
			return b, err
		}
		if err := os.Truncate(b.files[i], size); err != nil {
			return b, err
		}
		if *device, err = attach(b.files[i]); err != nil {
			return b, err
		}
	}
	// Data and holes of 8 to 128 MiB in turn.
	for offset := int64(0); offset < size; {
		n := min(clump<<(b.random.Uint64()%5), size-offset)
		x := blockcopy.Extent{Offset: offset, Length: n}
		if err := b.overwrite(x); err != nil {
			return b, err
		}
		b.mapped = append(b.mapped, x)
		offset += 2 * n
	}
	b.job = job{
		Program: program, Repository: filepath.Join(dir, "ours"), Cache: filepath.Join(dir, "ours.cache"), Mount: filepath.Join(dir, "mount"),
		Device: b.source, Size: size, Mapped: b.mapped,
	}
	return b, nil
}

func (b *bench) remove() {
	for _, device := range []string{b.source, b.target} {
		if device != "" {
			_ = exec.Command("losetup", "--detach", device).Run()
		}
	}
	_ = os.RemoveAll(b.dir)
}

func attach(file string) (string, error) {
	out, err := exec.Command("losetup", "--direct-io=on", "--find", "--show", file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("losetup %s: %w: %s", file, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// overwrite writes random data to the file behind the source.
func (b *bench) overwrite(x blockcopy.Extent) (err error) {
	f, err := os.OpenFile(b.files[0], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
	data := make([]byte, x.Length)
	_, _ = b.random.Read(data)
	_, err = f.WriteAt(data, x.Offset)
	return err
}

// quiet leaves nothing to be written, or cached of the devices, for the next run.
func (b *bench) quiet() error {
	unix.Sync()
	return command("blockdev", "--flushbufs", b.source, b.target)
}

// prepareFirst makes empty repositories.
func (b *bench) prepareFirst() error {
	for _, name := range []string{"ours", "theirs"} {
		for _, path := range []string{name, name + ".cache"} {
			if err := os.RemoveAll(filepath.Join(b.dir, path)); err != nil {
				return err
			}
		}
		cmd := b.restic(name, "init")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("restic init: %w: %s", err, out)
		}
	}
	b.job.Parent, b.job.Changed = "", nil
	return nil
}

// prepareIncremental changes 1 % of the volume, where it is mapped, in clumps of 2 to 8 MiB.
func (b *bench) prepareIncremental() error {
	b.job.Changed = nil
	for left := b.size / 100; left > 0; {
		in := b.mapped[b.random.Uint64()%uint64(len(b.mapped))]
		n := min(int64(2<<20)<<(b.random.Uint64()%3), in.Length, left)
		n = (n + 4095) &^ 4095
		x := blockcopy.Extent{Offset: in.Offset + int64(b.random.Uint64()%uint64((in.Length-n)/4096+1))*4096, Length: n}
		if err := b.overwrite(x); err != nil {
			return err
		}
		b.job.Changed = append(b.job.Changed, x)
		left -= n
	}
	return nil
}

// prepareRestore makes the target a new thin volume that has no data yet.
func (b *bench) prepareRestore() error {
	return command("fallocate", "--punch-hole", "--length", fmt.Sprint(b.size), b.files[1])
}

func (b *bench) restic(repository string, args ...string) *exec.Cmd {
	cmd := exec.Command(b.program, args...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password, "RESTIC_REPOSITORY="+filepath.Join(b.dir, repository),
		"RESTIC_CACHE_DIR="+filepath.Join(b.dir, repository+".cache"))
	return cmd
}

func (b *bench) theirsBackup() (run, error) {
	source, err := os.Open(b.source)
	if err != nil {
		return run{}, err
	}
	defer func() { _ = source.Close() }()
	cmd := b.restic("theirs", "backup", "--stdin", "--json")
	cmd.Stdin = source
	return timed(cmd)
}

// theirsRestore is the faster of the two ways that a user may think of.
func (b *bench) theirsRestore() (run, error) {
	var best run
	for _, way := range []string{
		"%s dump latest /stdin | dd of=%s bs=1M iflag=fullblock oflag=direct conv=fsync status=none",
		"%s dump latest /stdin >%s && sync %[2]s",
	} {
		if err := b.quiet(); err != nil {
			return best, err
		}
		cmd := exec.Command("sh", "-c", fmt.Sprintf(way, b.program, b.target))
		cmd.Env = b.restic("theirs").Env
		r, err := timed(cmd)
		if err == nil {
			err = b.same()
		}
		if err != nil {
			return best, err
		}
		if best.time == 0 || r.time < best.time {
			best = r
		}
	}
	return best, b.prepareRestore()
}

// timed runs a command. Its memory is that of the largest process in it.
func timed(cmd *exec.Cmd) (run, error) {
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return run{}, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return run{}, errors.New("no resource usage")
	}
	return run{time: time.Since(start), memory: usage.Maxrss}, nil
}

// oursBackup makes a backup in a process of its own, which becomes the parent of the next one.
func (b *bench) oursBackup() (run, error) {
	r, a, err := b.self("backup")
	if err != nil {
		return r, err
	}
	var slices int64
	for _, x := range blockcopy.Merge(b.job.Changed, b.size, 4<<20) {
		slices += x.Length
	}
	if b.job.Changed != nil && float64(r.read) > float64(slices)*1.01 {
		return r, fmt.Errorf("%d bytes were read, of %d in changed slices", r.read, slices)
	}
	b.job.Parent = a.Snapshot
	return r, nil
}

func (b *bench) oursRestore() (run, error) {
	b.job.Target = b.target
	r, _, err := b.self("restore")
	if err == nil {
		err = b.same()
	}
	if err == nil {
		err = b.prepareRestore()
	}
	return r, err
}

// self runs this program as the measured process.
func (b *bench) self(what string) (run, answer, error) {
	var a answer
	self, err := os.Executable()
	if err != nil {
		return run{}, a, err
	}
	in, err := json.Marshal(b.job)
	if err != nil {
		return run{}, a, err
	}
	cmd := exec.Command(self, "-as", what)
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(in)), os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	took := time.Since(start)
	if err != nil {
		return run{}, a, err
	}
	if err := json.Unmarshal(out, &a); err != nil {
		return run{}, a, err
	}
	return run{time: took, memory: a.Memory, read: a.Read}, a, nil
}

// same fails if the target is not as the source.
func (b *bench) same() error { return command("cmp", b.source, b.target) }

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
