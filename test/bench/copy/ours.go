package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/image/cache"
)

// ours does the work in this process, and prints the most memory it had.
func ours(what string, size int64, paths []string) error {
	if len(paths) != 2 {
		return fmt.Errorf("source and target are missing")
	}
	source, target := paths[0], paths[1]
	var err error
	switch what {
	case "clone":
		_, err = blockcopy.Copy{Source: source, Target: target, Size: size, TargetIsZero: true}.Run(context.Background())
	case "clone-used":
		_, err = blockcopy.Copy{Source: source, Target: target, Size: size}.Run(context.Background())
	case "import":
		err = importImage(source, target, size)
	case "clear":
		_, err = blockcopy.Clear{Device: target, Size: size}.Run(context.Background())
	default:
		return fmt.Errorf("there is no contest %q", what)
	}
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, err = fmt.Fprintln(os.Stdout, strings.Fields(kib)[0])
		}
	}
	return err
}

// importImage does what a volume that is made from an image is filled with, all of the checks and
// windows included. What is missing are LVM's tags, of which there are some for each window.
func importImage(source, target string, size int64) error {
	c, err := cache.Open(cache.Options{Dir: source + ".cache"})
	if err != nil {
		return err
	}
	images := jobs.CachedImages{Cache: c}
	return images.Write(context.Background(), change.Image{Path: source}, jobs.Target{
		Path: target, Size: uint64(size), ReadsZero: true,
		Progress: func(change.Progress) {}, Checkpoint: func(uint64) error { return nil },
	})
}
