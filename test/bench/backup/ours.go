package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// job is the input of the measured process.
type job struct {
	Program, Repository, Cache, Mount string
	Device, Target, Parent            string
	Size                              int64
	Mapped, Changed                   []blockcopy.Extent
}

// answer is what it says.
type answer struct {
	Snapshot string
	Read     int64
	Memory   int64 // KiB: this process and the largest that it has started
}

// ours does the work in this process.
func ours(what string) error {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		return err
	}
	var a answer
	r := restic.Repository{URL: j.Repository, Password: spec.NewSecret(password), CacheDir: j.Cache, Program: j.Program}
	switch what {
	case "backup":
		done, err := backup.Job{
			Repository: r, Volume: "bench", Device: j.Device, Size: j.Size, Mapped: j.Mapped,
			Changed: j.Changed, ChangedKnown: j.Changed != nil, Parent: j.Parent,
			Time: time.Now(), MountDir: j.Mount, VolumeYAML: []byte("bench: true\n"),
		}.Run(context.Background())
		if err != nil {
			return err
		}
		a.Snapshot, a.Read = done.Snapshot, done.Read
	case "restore":
		done, err := backup.Restore{Repository: r, Snapshot: j.Parent, Device: j.Target, TargetIsZero: true,
			NoVerify: os.Getenv("NO_VERIFY") != ""}.Run(context.Background())
		if err != nil {
			return err
		}
		a.Read = done.Read
	default:
		return fmt.Errorf("there is no contest %q", what)
	}
	own, err := peak()
	if err != nil {
		return err
	}
	var children syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children); err != nil {
		return err
	}
	a.Memory = own + children.Maxrss
	return json.NewEncoder(os.Stdout).Encode(a)
}

// peak is the most memory that this process had, in KiB.
func peak() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmHWM")
}
