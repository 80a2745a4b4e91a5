// Command scale measures how what the agent does grows with the number of volumes,
// each with an export, on this machine, and prints a line for each measurement and
// size:
//
//	load-first n=1000 time=0.061s peak=42MiB allocated=51MiB growth=0.98
//
// Each is a process of its own. The time is that of the fastest of a few runs, if one
// takes less than a second. The peak is the most memory that the process had resident
// while it did the work (VmHWM), with all that was there before: the specs of which a
// plan is made, the report that is parsed. What was allocated is the sum of one run,
// freed or not; it is not known of other programs. The growth is the exponent between
// this size and the one before: 1 is linear, 2 is quadratic.
//
// What would take longer than -longest, as far as the smaller sizes tell, preparations
// included, is skipped.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	as := flag.String("as", "", "be the measured process of this name (used by this command itself)")
	n := flag.Int("n", 100, "volumes of the measured process (used by this command itself)")
	dir := flag.String("dir", os.TempDir(), "where the files are made")
	sizes := flag.String("sizes", "100,1000,10000,100000", "numbers of volumes, each with an export")
	only := flag.String("only", "", "some of "+strings.Join(names(), ", ")+"; default: all")
	longest := flag.Duration("longest", 5*time.Minute, "skip what would take longer")
	profile := flag.String("cpuprofile", "", "file for a profile, together with -only and one size")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *as != "" {
		err = work(ctx, *as, *n, *dir, *profile)
	} else {
		err = measureAll(ctx, *dir, *sizes, *only, *longest, *profile)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// figures are what a measurement came to.
type figures struct {
	time      time.Duration
	peak      int64 // bytes; -1: not known
	allocated int64 // likewise
}

// String is how the figures are printed, and handed over by the measured process.
func (f figures) String() string {
	return fmt.Sprintf("time=%.4fs peak=%s allocated=%s", f.time.Seconds(), mib(f.peak), mib(f.allocated))
}

func mib(n int64) string {
	if n < 0 {
		return "unknown"
	}
	return strconv.FormatInt((n+1<<20-1)>>20, 10) + "MiB"
}

func measureAll(ctx context.Context, dir, sizes, only string, longest time.Duration, profile string) (err error) {
	dir, err = os.MkdirTemp(dir, "scale-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	chosen := names()
	if only != "" {
		chosen = strings.Split(only, ",")
	}
	if err := build(ctx, dir); err != nil {
		return err
	}
	var numbers []int
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-sizes: %q is no number of volumes", text)
		}
		if err := writeSpecs(specsDir(dir, n), n); err != nil {
			return err
		}
		numbers = append(numbers, n)
	}
	// What has just been written is read again, to be on the safe side.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2100 * time.Millisecond):
	}
	for _, name := range chosen {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("there is no measurement %q; there are %s", name, strings.Join(names(), ", "))
		}
		s := series{name: name, longest: longest}
		for _, n := range numbers {
			line, err := s.next(ctx, dir, n, profile)
			if err != nil {
				return fmt.Errorf("%s n=%d: %w", name, n, err)
			}
			_, _ = fmt.Fprintln(os.Stdout, line)
		}
	}
	return nil
}

// build builds the agent, for what is measured of its commands.
func build(ctx context.Context, dir string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", agent(dir), "github.com/volreconciler/volreconciler/cmd/volreconciler").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
}

func agent(dir string) string { return filepath.Join(dir, "volreconciler") }

// specsDir is where the specs of n volumes are.
func specsDir(dir string, n int) string { return filepath.Join(dir, "specs-"+strconv.Itoa(n)) }

// series are the measurements of one thing at growing sizes.
type series struct {
	name    string
	longest time.Duration
	// n, time and whole are of the last size, whole with the preparations; exponent is how
	// that grew up to there.
	n           int
	time, whole time.Duration
	exponent    float64
}

// next measures the next size and returns its line.
func (s *series) next(ctx context.Context, dir string, n int, profile string) (string, error) {
	line := fmt.Sprintf("%s n=%d ", s.name, n)
	if expected := s.expected(n); expected > s.longest {
		return fmt.Sprintf("%sskipped: it would take about %s; see -longest", line, expected.Round(time.Second)), nil
	}
	start := time.Now()
	f, err := s.measure(ctx, dir, n, profile)
	if err != nil {
		return "", err
	}
	whole := time.Since(start)
	line += f.String()
	if s.n > 0 {
		line += fmt.Sprintf(" growth=%.2f", s.growth(n, s.time, f.time))
		s.exponent = s.growth(n, s.whole, whole)
	}
	s.n, s.time, s.whole = n, f.time, whole
	return line, nil
}

// growth is the exponent between the last size and another.
func (s *series) growth(n int, before, after time.Duration) float64 {
	return math.Log(after.Seconds()/before.Seconds()) / math.Log(float64(n)/float64(s.n))
}

// expected is how long a size will take; 0: nothing is known of it. Small sizes hide
// how something grows behind what it costs anyway, so it is at least linear.
func (s *series) expected(n int) time.Duration {
	if s.n == 0 {
		return 0
	}
	return time.Duration(s.whole.Seconds() * math.Pow(float64(n)/float64(s.n), max(s.exponent, 1)) * float64(time.Second))
}

// measure runs this program as the measured process.
func (s *series) measure(ctx context.Context, dir string, n int, profile string) (figures, error) {
	self, err := os.Executable()
	if err != nil {
		return figures{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-as", s.name, "-n", strconv.Itoa(n), "-dir", dir, "-cpuprofile", profile)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return figures{}, err
	}
	var nanoseconds int64
	var f figures
	if _, err := fmt.Sscan(string(out), &nanoseconds, &f.peak, &f.allocated); err != nil {
		return figures{}, fmt.Errorf("the measured process says %q: %w", out, err)
	}
	f.time = time.Duration(nanoseconds)
	return f, nil
}
