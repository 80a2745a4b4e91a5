package e2e

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// many is the number of volumes, unless BENCH_VOLUMES says otherwise.
var many = func() int {
	if n, err := strconv.Atoi(os.Getenv("BENCH_VOLUMES")); err == nil {
		return n
	}
	return 300
}()

func nameOfMany(i int) string { return fmt.Sprintf("m%04d", i) }

// manyVolumes makes a volume group whose metadata area has room for many volumes, and writes their
// specs, each with an export of its own.
func manyVolumes(ctx context.Context) {
	GinkgoHelper()
	// LVM would keep a copy of half a megabyte of each change, in memory.
	sh(ctx, `set -e
		mkdir -p /etc/lvm; cp /etc/lvm/lvm.conf /run/lvm.conf 2>/dev/null || true
		printf 'backup { archive = 0\nbackup = 0 }\n' >> /etc/lvm/lvm.conf
		vgremove -qq vg0; pvremove -qq /dev/vda; pvcreate -qq --metadatasize 32m /dev/vda; vgcreate -qq vg0 /dev/vda
		lvcreate -qq -y --type thin-pool -L 4G --poolmetadatasize 64m -Zy -n pool0 vg0`)
	DeferCleanup(func(ctx SpecContext) {
		sh(ctx, "rm /etc/lvm/lvm.conf; cp /run/lvm.conf /etc/lvm/lvm.conf 2>/dev/null; true")
	})
	specs(ctx, "pool.yaml", strings.Replace(thinPool, "size: 1Gi", "size: 4Gi", 1))
	for i := range slices.Chunk(slices.Collect(countTo(many)), 100) {
		var documents []string
		for _, n := range i {
			name := nameOfMany(n)
			documents = append(documents, volume(name, "fast", "4Mi", ""), export(name, "{volume: "+name+"}"))
		}
		specs(ctx, nameOfMany(i[0])+".yaml", documents...)
	}
}

func countTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// cost is what the agent has cost so far, its processes included.
type cost struct {
	own, children float64 // seconds of processor time
	passes        int
	processes     int
}

// costs returns what the agent that runs has cost so far. Its log has to be at level debug.
func costs(ctx context.Context) cost {
	GinkgoHelper()
	var c cost
	out := sh(ctx, "awk '{ print $14 + $15, $16 + $17 }' /proc/$(pgrep -x volreconciler)/stat")
	var own, children float64 // in hundredths of a second
	_, err := fmt.Sscan(out, &own, &children)
	Expect(err).NotTo(HaveOccurred(), out)
	c.own, c.children = own/100, children/100
	for line := range strings.Lines(string(running.Contents())) {
		if _, after, is := strings.Cut(line, `"msg":"pass"`); is {
			c.passes++
			_, after, _ = strings.Cut(after, `"processes":`)
			digits, _, _ := strings.Cut(after, ",")
			n, err := strconv.Atoi(digits)
			Expect(err).NotTo(HaveOccurred(), line)
			c.processes += n
		}
	}
	return c
}

func (c cost) since(before cost) cost {
	return cost{c.own - before.own, c.children - before.children, c.passes - before.passes, c.processes - before.processes}
}

func (c cost) String() string {
	return fmt.Sprintf("passes=%d processes=%d cpu=%.2fs", c.passes, c.processes, c.own+c.children)
}

// filesRead returns how many files, directories and symlinks the agent reads while something is done.
func filesRead(ctx context.Context, do func()) int {
	GinkgoHelper()
	sh(ctx, `strace -q -f -o /run/reads -e trace=openat,readlinkat -p $(pgrep -x volreconciler) >/dev/null 2>&1 &
		echo $! > /run/strace.pid; sleep 2`)
	do()
	n, err := strconv.Atoi(sh(ctx, `kill -INT $(cat /run/strace.pid); sleep 1; grep -cE 'openat|readlinkat' /run/reads || true; rm /run/reads`))
	Expect(err).NotTo(HaveOccurred())
	return n
}

// quiet waits until the agent has made no pass for a while. Nobody asks it for its status meanwhile,
// because it would read the machine for that.
func quiet(ctx context.Context, while time.Duration) {
	GinkgoHelper()
	last, since := -1, time.Now()
	Eventually(ctx, func() time.Duration {
		if n := len(running.Contents()); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since)
	}).WithTimeout(limit).Should(BeNumerically(">", while))
}

// afterPass returns what something costs, and how long it takes, until a pass after it has ended that
// had nothing to do, and another one before that had if it changes anything.
func afterPass(ctx context.Context, changes bool, do func()) (cost, float64) {
	GinkgoHelper()
	before, from, began := costs(ctx), len(running.Contents()), time.Now()
	do()
	Eventually(ctx, func() bool {
		changed := !changes
		for _, line := range pass.FindAllSubmatch(running.Contents()[from:], -1) {
			if string(line[1]) != "0" {
				changed = true
			} else if changed {
				return true
			}
		}
		return false
	}).WithPolling(20 * time.Millisecond).Should(BeTrue())
	took := time.Since(began).Seconds()
	return costs(ctx).since(before), took
}

// scrapes returns how long a scrape of /metrics takes, and one lvs beside it, in seconds, and how many programs
// the agent starts, and files it locks, for a scrape.
func scrapes(ctx context.Context) (scrape, lvs float64, calls int) {
	GinkgoHelper()
	const get = "curl -sf -o /dev/null -w '%{time_total}\n' --unix-socket /run/volreconciler/agent.sock http://agent/metrics"
	var scraped, listed []float64
	for line := range strings.Lines(sh(ctx, `for i in $(seq 9); do
			echo scrape $(`+get+`)
			bash -c 'from=$EPOCHREALTIME; lvs -o lv_name,lv_size >/dev/null; echo lvs $from $EPOCHREALTIME'
		done`) + "\n") {
		var kind string
		var from, to float64
		if n, _ := fmt.Sscan(line, &kind, &from, &to); n == 3 {
			listed = append(listed, to-from)
		} else if n == 2 {
			scraped = append(scraped, from)
		}
	}
	Expect(scraped).To(HaveLen(len(listed)))
	calls, err := strconv.Atoi(sh(ctx, `strace -q -f -o /run/calls -e trace=execve,flock -p $(pgrep -x volreconciler) >/dev/null 2>&1 &
		pid=$!; sleep 2; `+get+` >/dev/null; kill -INT $pid; sleep 1; grep -cE 'execve|flock' /run/calls || true; rm /run/calls`))
	Expect(err).NotTo(HaveOccurred())
	return median(scraped), median(listed), calls
}

// quantile is the value below which a part of the values is; the last one of them is the greatest.
func quantile(values []float64, part float64) float64 {
	slices.Sort(values)
	return values[min(int(part*float64(len(values))), len(values)-1)]
}

var _ = Describe("Hundreds of thin volumes, each with an export", Label("bench"), func() {
	It("cost nothing while nothing happens, and little when something does", func(ctx SpecContext) {
		drifting := filepath.Join(machine.Share, "drifting")
		build := exec.CommandContext(ctx, "go", "build", "-o", drifting, "./internal/drifting")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := build.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)

		manyVolumes(ctx)
		began := time.Now()
		agent("--resync", "30s", "--audit", "10m")
		Eventually(ctx, func() bool {
			for _, line := range pass.FindAllSubmatch(running.Contents(), -1) {
				if string(line[1]) == "0" {
					return true
				}
			}
			return false
		}).WithTimeout(limit).Should(BeTrue())
		made := time.Since(began).Seconds()
		quiet(ctx, 10*time.Second)
		Expect(nodeStatus(ctx).Converged()).To(BeTrue())
		fmt.Printf("\n%s\n", ground(ctx))
		fmt.Printf("made-%d agent=%.0fs\n", many, made)

		By("asking for metrics")
		quiet(ctx, 5*time.Second) // who asked for the status had the machine read
		scrape, lvs, calls := scrapes(ctx)
		fmt.Printf("metrics-%d ratio=%.3f scrape=%.1fms lvs=%.1fms programs-and-locks=%d\n", many, scrape/lvs, 1000*scrape, 1000*lvs, calls)
		Expect(calls).To(BeZero())

		By("while nothing happens")
		quiet(ctx, 5*time.Second)
		before := costs(ctx)
		var idle cost
		idleReads := filesRead(ctx, func() {
			time.Sleep(time.Minute)
			idle = costs(ctx).since(before)
		})

		By("adding a volume")
		var add, full []cost
		var addTook, fullTook []float64
		addOne := func(name string) (cost, float64) {
			return afterPass(ctx, true, func() {
				specs(ctx, name+".yaml", volume(name, "fast", "4Mi", ""), export(name, "{volume: "+name+"}"))
			})
		}
		addReads := filesRead(ctx, func() { addOne("read") })
		for i := range 5 {
			c, took := addOne(fmt.Sprintf("added%d", i))
			add, addTook = append(add, c), append(addTook, took)
			quiet(ctx, 2*time.Second)
			c, took = afterPass(ctx, false, func() { sh(ctx, "pkill -HUP -x volreconciler") })
			full, fullTook = append(full, c), append(fullTook, took)
			quiet(ctx, 2*time.Second)
		}
		memory := sh(ctx, "sed -n 's/^\\(VmHWM\\|VmRSS\\):[[:space:]]*\\([0-9]*\\) kB/\\2/p' /proc/$(pgrep -x volreconciler)/status | xargs")

		By("changing it by hand")
		var names []string
		for i := range many {
			names = append(names, nameOfMany(i))
		}
		exportedBefore := exported(ctx)
		took := map[string][]float64{}
		for line := range strings.Lines(sh(ctx, "/host/drifting -pause 300ms "+strings.Join(names, " ")) + "\n") {
			var kind string
			var s float64
			_, err := fmt.Sscan(line, &kind, &s)
			Expect(err).NotTo(HaveOccurred(), line)
			took[kind], took["all"] = append(took[kind], s), append(took["all"], s)
		}
		Expect(exported(ctx)).To(Equal(exportedBefore))
		kill(ctx)

		By("the way of polling")
		agent("--resync", "30s", "--audit", "30s")
		quiet(ctx, 5*time.Second)
		before = costs(ctx)
		time.Sleep(time.Minute)
		polling := costs(ctx).since(before)
		Expect(polling.passes).To(BeNumerically(">=", 1))
		pollingReads := polling.passes * filesRead(ctx, func() { afterPass(ctx, false, func() { sh(ctx, "pkill -HUP -x volreconciler") }) })

		fmt.Printf("idle-%d ratio=%.4f %s reads=%d polling: %s reads=%d\n", many, (idle.own+idle.children)/(polling.own+polling.children), idle, idleReads, polling, pollingReads)
		own := func(costs []cost) (own, children float64) {
			var o, c []float64
			for _, x := range costs {
				o, c = append(o, x.own), append(c, x.children)
			}
			return median(o), median(c)
		}
		addOwn, addLVM := own(add)
		fullOwn, fullLVM := own(full)
		fmt.Printf("add-%d ratio=%.2f reads=%d agent=%.3fs lvm=%.3fs time=%.2fs full-pass: agent=%.3fs lvm=%.3fs time=%.2fs\n", many, addOwn/fullOwn,
			addReads, addOwn, addLVM, median(addTook), fullOwn, fullLVM, median(fullTook))
		for _, kind := range []string{"lun", "acl", "attribute", "tag", "activation", "all"} {
			fmt.Printf("drift-%d-%s p50=%.3fs p95=%.3fs max=%.3fs n=%d\n", many, kind, quantile(took[kind], .5), quantile(took[kind], .95), quantile(took[kind], 1), len(took[kind]))
		}
		var rss, hwm int
		_, err = fmt.Sscan(memory, &hwm, &rss)
		Expect(err).NotTo(HaveOccurred(), memory)
		fmt.Printf("memory-%d resident=%dMiB most=%dMiB\n", many, rss>>10, hwm>>10)
	}, NodeTimeout(2*limit))
})
