// Command copy measures pkg/blockcopy beside the tools that a user would take
// instead, on this machine, and prints a line for each comparison:
//
//	clone ratio=0.83 ours=2.61s dd=4.02s qemu-img=3.14s rss=21MiB
//
// The ratio is ours by the best of the others; below 1 ours is faster. All run
// in turn, several times, and the fastest run of each is printed. Ours is a process of
// its own too. All of them end when the data is on the medium.
//
// With root the sources and targets are loop devices on files in -dir, which take
// direct I/O; without it they are the files.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	as := flag.String("as", "", "be the measured process: clone, clone-used, import, clear (used by this command itself)")
	dir := flag.String("dir", os.TempDir(), "where the files are made; three times the size must be free")
	size := flag.Int64("size", 4<<10, "MiB")
	rounds := flag.Int("rounds", 3, "runs of each")
	only := flag.String("only", "", "one of clone, clone-used, import, clear; default: all")
	flag.Parse()
	var err error
	if *as != "" {
		err = ours(*as, *size<<20, flag.Args())
	} else {
		err = measure(*dir, *size<<20, *rounds, *only)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// contest is one comparison. In a way, %s and %t stand for source and target.
type contest struct {
	name    string
	image   bool               // the source is a qcow2 image of the source
	prepare func(*bench) error // before each run, not measured
	check   func(*bench) error // after each run, not measured
	tools   []tool
}

// tool is a program with the ways to call it that a user may think of; the best
// counts. dd by the page cache is not among them: it took many times as long.
type tool struct {
	name string
	ways []string
}

func contests(sizeMiB int64) []contest {
	return []contest{
		{
			name: "clone", prepare: (*bench).emptyTarget, check: (*bench).same,
			tools: []tool{
				{"dd", []string{
					"dd if=%s of=%t bs=1M conv=sparse,notrunc,fsync iflag=direct oflag=direct",
					"dd if=%s of=%t bs=8M conv=sparse,notrunc,fsync iflag=direct oflag=direct",
				}},
				{"qemu-img", []string{
					"qemu-img convert -n --target-is-zero -t none -T none -W -m 8 -f raw -O raw %s %t",
					"qemu-img convert -n -t none -T none -W -m 8 -f raw -O raw %s %t",
				}},
			},
		},
		{
			name: "clone-used", prepare: (*bench).usedTarget, check: (*bench).same,
			tools: []tool{
				{"dd", []string{
					"dd if=%s of=%t bs=1M conv=notrunc,fsync iflag=direct oflag=direct",
					"dd if=%s of=%t bs=8M conv=notrunc,fsync iflag=direct oflag=direct",
				}},
				{"qemu-img", []string{"qemu-img convert -n -t none -T none -W -m 8 -f raw -O raw %s %t"}},
			},
		},
		{
			name: "import", image: true, prepare: (*bench).emptyTarget, check: (*bench).same,
			tools: []tool{{"qemu-img", []string{
				"qemu-img convert -n -f qcow2 -O raw %s %t",
				"qemu-img convert -n --target-is-zero -t none -T none -W -m 8 -f qcow2 -O raw %s %t",
			}}},
		},
		{
			name: "clear", prepare: (*bench).usedTarget, check: (*bench).zero,
			tools: []tool{
				{"dd", []string{fmt.Sprintf("dd if=/dev/zero of=%%t bs=1M count=%d conv=notrunc,fsync oflag=direct", sizeMiB)}},
				{"blkdiscard-z", []string{"blkdiscard -z %t"}},
			},
		},
	}
}

func measure(dir string, size int64, rounds int, only string) error {
	b, err := newBench(dir, size)
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
	for _, c := range contests(size >> 20) {
		if only != "" && only != c.name {
			continue
		}
		line, err := b.hold(c, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		_, _ = fmt.Fprintln(os.Stdout, line)
	}
	return nil
}

// hold runs a contest and returns its line.
func (b *bench) hold(c contest, rounds int) (string, error) {
	best := map[string]time.Duration{}
	var rss int64
	keep := func(name string, d time.Duration) {
		if old, ok := best[name]; !ok || d < old {
			best[name] = d
		}
	}
	for range rounds {
		d, mib, err := b.ours(c)
		if err != nil {
			return "", err
		}
		keep("ours", d)
		rss = max(rss, mib)
		for _, t := range c.tools {
			for _, way := range t.ways {
				if _, err := exec.LookPath(strings.Fields(way)[0]); err != nil {
					continue
				}
				if strings.HasPrefix(way, "blkdiscard") && !b.loops {
					continue // it knows devices only
				}
				d, err := b.run(c, strings.Fields(strings.NewReplacer("%s", b.from(c), "%t", b.target).Replace(way)))
				if err != nil {
					return "", err
				}
				keep(t.name, d)
			}
		}
	}
	var others time.Duration
	var text strings.Builder
	for _, t := range c.tools {
		d, ok := best[t.name]
		if !ok {
			_, _ = fmt.Fprintf(&text, " %s=none", t.name)
			continue
		}
		_, _ = fmt.Fprintf(&text, " %s=%.3fs", t.name, d.Seconds())
		if others == 0 || d < others {
			others = d
		}
	}
	return fmt.Sprintf("%s ratio=%.2f ours=%.3fs%s rss=%dMiB", c.name, best["ours"].Seconds()/others.Seconds(),
		best["ours"].Seconds(), text.String(), rss), nil
}
