// Command backup measures pkg/backup beside restic alone, on this machine, and prints a line for each
// comparison:
//
//	first ratio=0.58 ours=9.21s restic=15.80s read=2104MiB memory=+31MiB
//
// first is the first backup of a half-mapped volume, incremental the next one after 1 % of it changed in clumps;
// the peer is restic backup --stdin. restore is that of the volume, verified, beside restic dump to the
// device. The ratio is ours by restic's; below 1 ours is faster. All run in turn, several times, and the ratio is of the fastest run
// of each. Ours is a process of its own too, and restic's time is in it. Memory is ours and that of the restic that ours
// starts, beyond that of restic alone.
//
// It needs root, for FUSE. Source and target are loop devices on files in -dir. Data is random, so that nothing
// is gained by compression.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	as := flag.String("as", "", "be the measured process: backup, restore (used by this command itself)")
	dir := flag.String("dir", os.TempDir(), "where files and repositories are made; four times the size must be free")
	size := flag.Int64("size", 4<<10, "MiB")
	rounds := flag.Int("rounds", 3, "runs of each")
	program := flag.String("restic", "restic", "the program")
	flag.Parse()
	var err error
	if *as != "" {
		err = ours(*as)
	} else {
		err = measure(*dir, *size<<20, *rounds, *program)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(dir string, size int64, rounds int, program string) error {
	b, err := newBench(dir, size, program)
	if err != nil {
		return err
	}
	defer b.remove()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		b.remove()
		os.Exit(1)
	}()
	for _, c := range []contest{
		{"first", (*bench).prepareFirst, (*bench).oursBackup, (*bench).theirsBackup},
		{"incremental", (*bench).prepareIncremental, (*bench).oursBackup, (*bench).theirsBackup},
		{"restore", (*bench).prepareRestore, (*bench).oursRestore, (*bench).theirsRestore},
	} {
		line, err := b.hold(c, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		_, _ = fmt.Fprintln(os.Stdout, line)
	}
	return nil
}

// contest is one comparison.
type contest struct {
	name    string
	prepare func(*bench) error // before both, not measured
	ours    func(*bench) (run, error)
	theirs  func(*bench) (run, error)
}

// run is what one run took.
type run struct {
	time   time.Duration
	memory int64 // KiB at most
	read   int64 // bytes read from the device, or from the repository; of ours only
}

// hold runs a contest and returns its line.
func (b *bench) hold(c contest, rounds int) (string, error) {
	var ours, theirs run
	keep := func(best *run, r run) {
		if best.time == 0 || r.time < best.time {
			best.time = r.time
		}
		best.memory, best.read = max(best.memory, r.memory), max(best.read, r.read)
	}
	for range rounds {
		if err := c.prepare(b); err != nil {
			return "", err
		}
		for _, side := range []struct {
			run  func(*bench) (run, error)
			best *run
		}{{c.ours, &ours}, {c.theirs, &theirs}} {
			if err := b.quiet(); err != nil {
				return "", err
			}
			r, err := side.run(b)
			if err != nil {
				return "", err
			}
			if os.Getenv("VERBOSE") != "" {
				_, _ = fmt.Fprintf(os.Stderr, "%s %+v\n", c.name, r)
			}
			keep(side.best, r)
		}
	}
	return fmt.Sprintf("%s ratio=%.2f ours=%.2fs restic=%.2fs read=%dMiB memory=%+dMiB", c.name,
		ours.time.Seconds()/theirs.time.Seconds(), ours.time.Seconds(), theirs.time.Seconds(), ours.read>>20,
		(ours.memory-theirs.memory)>>10), nil
}
