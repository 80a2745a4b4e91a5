package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// measurement is something that is measured: it prepares n volumes and returns what is
// to be timed, which can be done several times.
type measurement struct {
	name    string
	prepare func(ctx context.Context, n int, dir string) (run, error)
}

// run does the work once. It returns the peak of another program's memory in bytes, if
// that did it; -1: it is not known.
type run func() (peak int64, err error)

func measurements() []measurement {
	return []measurement{
		{"load-first", loadFirst},
		{"load-unchanged", loadUnchanged},
		{"report", parseReport},
		{"plan-converged", planConverged},
		{"plan-nothing", planFromNothing},
		{"pass-idle", idlePass},
		{"pass-first", firstPass},
		{"pass-remembered", rememberedPass},
		{"pass-drift", driftPass},
		{"status-json", statusJSON},
		{"get-all", func(ctx context.Context, n int, dir string) (run, error) {
			return get(ctx, n, dir, "get", "-o", "json")
		}},
		{"get-one", func(ctx context.Context, n int, dir string) (run, error) {
			return get(ctx, n, dir, "get", "volume", nameOf(n/2), "-o", "json")
		}},
		{"apply", apply},
	}
}

func names() []string {
	var all []string
	for _, m := range measurements() {
		all = append(all, m.name)
	}
	return all
}

// Short work is done several times, until it took enough, or was done often enough.
const (
	enough = time.Second
	often  = 20
)

// work is the measured process: it prints the time in nanoseconds, the peak, and what
// was allocated, in bytes.
func work(ctx context.Context, name string, n int, dir, profile string) error {
	for _, m := range measurements() {
		if m.name != name {
			continue
		}
		do, err := m.prepare(ctx, n, dir)
		if err != nil {
			return err
		}
		f, err := fastest(do, profile)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(os.Stdout, f.time.Nanoseconds(), f.peak, f.allocated)
		return err
	}
	return fmt.Errorf("there is no measurement %q", name)
}

func fastest(do run, profile string) (figures, error) {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return figures{}, err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return figures{}, err
		}
		defer pprof.StopCPUProfile()
	}
	var best figures
	var spent time.Duration
	for range often {
		f, err := once(do)
		if err != nil {
			return figures{}, err
		}
		if best.time == 0 || f.time < best.time {
			best.time = f.time
		}
		if best.peak = max(best.peak, f.peak); f.peak < 0 {
			best.peak = f.peak
		}
		best.allocated = f.allocated
		if spent += f.time; spent > enough {
			break
		}
	}
	return best, nil
}

func once(do run) (figures, error) {
	runtime.GC()
	debug.FreeOSMemory()
	// 5 resets VmHWM to what is resident now (proc_pid_clear_refs(5)).
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return figures{}, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	others, err := do()
	f := figures{time: time.Since(start)}
	if err != nil {
		return f, err
	}
	runtime.ReadMemStats(&after)
	if f.peak, f.allocated = others, -1; others != 0 {
		return f, nil
	}
	f.allocated = int64(after.TotalAlloc - before.TotalAlloc)
	f.peak, err = resident()
	return f, err
}

// resident is the most memory that this process had resident, in bytes.
func resident() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}

func loadFirst(ctx context.Context, n int, dir string) (run, error) {
	return func() (int64, error) { return 0, load(ctx, source(dir, n), n) }, nil
}

func loadUnchanged(ctx context.Context, n int, dir string) (run, error) {
	s := source(dir, n)
	return func() (int64, error) { return 0, load(ctx, s, n) }, load(ctx, s, n)
}

// source reads the specs of n volumes. It does not wait for files to stay the same,
// which is a fixed time whatever there is.
func source(dir string, n int) *spec.Source {
	return spec.NewSource(specsDir(dir, n), spec.Options{Secrets: true, Settle: time.Nanosecond})
}

func load(ctx context.Context, s *spec.Source, n int) error {
	set := s.Load(ctx)
	if !set.Complete || len(set.Volumes) != n || len(set.Exports) != n {
		return fmt.Errorf("%d volumes and %d exports were loaded; findings: %v", len(set.Volumes), len(set.Exports), set.Findings)
	}
	return nil
}

// printed is a machine of which there is LVM's report, and nothing else.
type printed struct {
	host.Host
	report host.Output
}

func (p printed) Run(context.Context, ...string) (host.Output, error) { return p.report, nil }

// parseReport observes a machine that holds n logical volumes and nothing else.
func parseReport(ctx context.Context, n int, _ string) (run, error) {
	report, err := reportOf(ctx, n)
	if err != nil {
		return nil, err
	}
	nothing, err := fakehost.New(fakehost.Node{})
	if err != nil {
		return nil, err
	}
	p := printed{Host: nothing, report: host.Output{Stdout: []byte(report)}}
	return func() (int64, error) {
		s := observe.New(p).Observe(ctx)
		if got := len(s.VolumeGroups["vg0"].LogicalVolumes); got != n+1 {
			return 0, fmt.Errorf("%d logical volumes were read: %w", got, s.Err())
		}
		return 0, nil
	}, nil
}

// planOf makes a plan.
func planOf(desired spec.Set, observed observe.State) plan.Plan {
	now := time.Unix(1_800_000_000, 0)
	return plan.Make(plan.Input{
		Declared: desired, Observed: observed, Now: now, Started: now.Add(-time.Hour), Elapsed: time.Hour, MaxDeletions: 10,
	})
}

func planConverged(ctx context.Context, n int, dir string) (run, error) {
	set := source(dir, n).Load(ctx)
	state, err := converged(ctx, n)
	return func() (int64, error) {
		if p := planOf(set, state); len(p.Steps) > 0 || len(p.Objects) != 2*n+1 {
			return 0, fmt.Errorf("%d steps and %d objects", len(p.Steps), len(p.Objects))
		}
		return 0, nil
	}, err
}

func planFromNothing(ctx context.Context, n int, dir string) (run, error) {
	set := source(dir, n).Load(ctx)
	fake, err := fakehost.New(emptyNode(n))
	if err != nil {
		return nil, err
	}
	state := observe.New(fake).Observe(ctx)
	return func() (int64, error) {
		if p := planOf(set, state); len(p.Steps) < 5*n {
			return 0, fmt.Errorf("%d steps only", len(p.Steps))
		}
		return 0, nil
	}, nil
}

// still is what is desired and what was observed, always the same.
type still struct {
	desired  spec.Set
	observed observe.State
}

func (s still) Load(context.Context) spec.Set { return s.desired }

func (s still) Observe(context.Context, ...string) observe.State { return s.observed }

// convergedLoop returns a loop that made a pass over n volumes, all as desired.
func convergedLoop(ctx context.Context, n int, dir string) (*reconcile.Loop, error) {
	state, err := converged(ctx, n)
	if err != nil {
		return nil, err
	}
	memory, err := reconcile.OpenMemory(filepath.Join(dir, fmt.Sprintf("identities-%d.json", n)))
	if err != nil {
		return nil, err
	}
	s := still{source(dir, n).Load(ctx), state}
	loop := &reconcile.Loop{
		Source: s, Observer: s, Executor: &execute.Executor{}, Memory: memory, Status: &status.Board{},
		Log: logr.Discard(), MaxDeletions: 10, Resync: time.Hour,
	}
	loop.Pass(ctx)
	if node, _ := loop.Status.Report(); !node.Converged() || len(node.Objects) != 2*n+1 {
		return nil, fmt.Errorf("%d objects, not all as desired", len(node.Objects))
	}
	return loop, nil
}

// idlePass is a pass that changes nothing, without what it costs to load and observe.
func idlePass(ctx context.Context, n int, dir string) (run, error) {
	loop, err := convergedLoop(ctx, n, dir)
	return func() (int64, error) { loop.Pass(ctx); return 0, nil }, err
}

// serving returns the socket on which the status of n volumes can be asked for.
func serving(ctx context.Context, n int, dir string) (string, error) {
	loop, err := convergedLoop(ctx, n, dir)
	if err != nil {
		return "", err
	}
	runtimeDir, err := os.MkdirTemp(dir, "run-")
	if err != nil {
		return "", err
	}
	listener, err := statusapi.Listen(filepath.Join(runtimeDir, "agent.sock"))
	if err != nil {
		return "", err
	}
	go func() { _ = statusapi.Serve(ctx, listener, statusapi.Source{Status: loop.Status}) }()
	return runtimeDir, nil
}

// statusJSON reads the status of the agent, from its first to its last byte.
func statusJSON(ctx context.Context, n int, dir string) (run, error) {
	runtimeDir, err := serving(ctx, n, dir)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(runtimeDir, "agent.sock"))
	}}}
	return func() (int64, error) {
		response, err := client.Get("http://agent/v1/status")
		if err != nil {
			return 0, err
		}
		size, err := io.Copy(io.Discard, response.Body)
		if err = errors.Join(err, response.Body.Close()); err == nil && size < int64(100*n) {
			err = fmt.Errorf("%s with %d bytes", response.Status, size)
		}
		return 0, err
	}, nil
}

// get asks an agent with the command.
func get(ctx context.Context, n int, dir string, args ...string) (run, error) {
	runtimeDir, err := serving(ctx, n, dir)
	if err != nil {
		return nil, err
	}
	return func() (int64, error) {
		_, err := command(ctx, agent(dir), append(args, "--runtime-dir", runtimeDir)...)
		return -1, err // what a program begins with counts, and that is as large as this process
	}, nil
}

// apply makes n volumes on a fake node that holds none, with the command.
func apply(ctx context.Context, n int, dir string) (run, error) {
	data, err := emptyNode(n).Marshal()
	if err != nil {
		return nil, err
	}
	runtimeDir, err := os.MkdirTemp(dir, "run-")
	if err != nil {
		return nil, err
	}
	node := filepath.Join(runtimeDir, "node.yaml")
	return func() (int64, error) {
		_ = os.Remove(node + ".identities.json")
		if err := os.WriteFile(node, data, 0o600); err != nil {
			return 0, err
		}
		return command(ctx, agent(dir), "apply", "--backend", "fake", "--node", node, "--specs", specsDir(dir, n), "--runtime-dir", runtimeDir, "--state-dir", runtimeDir)
	}, nil
}

// command runs a program and returns the most memory that it had resident, in bytes.
func command(ctx context.Context, name string, args ...string) (int64, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, stderr.String())
	}
	return maxRSS(cmd.ProcessState), nil
}
