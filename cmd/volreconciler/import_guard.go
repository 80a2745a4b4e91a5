package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// guardLimit is how long import waits for an agent. It answers from its memory and one listing.
const guardLimit = 10 * time.Second

// refuseWatched refuses a directory that the agent of this node reads its specs from, that lies below
// one, or above: the agent applies at once what is written there, before anybody has looked at the plan.
// Where no agent runs, nothing is refused. An agent that does not say what it reads may read anything.
func (s *settings) refuseWatched(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, guardLimit)
	defer cancel()
	agent, err := statusapi.NewClient(s.socket()).Agent(ctx)
	if err == nil && len(agent.Specs) == 0 {
		err = errors.New("its answer names none")
	}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case err != nil:
		return fmt.Errorf("cannot find out which directories the running agent reads: %w; stop it (systemctl stop volreconciler), and import again", agentError(err, s.socket()))
	}
	for _, watched := range agent.Specs {
		overlap, err := overlaps(dir, watched)
		if err != nil {
			return fmt.Errorf("cannot compare the directory to write to with those of the running agent: %w", err)
		}
		if overlap {
			return fmt.Errorf("the running agent reads %s and would apply at once what is written to %s; stop it (systemctl stop volreconciler), or import to another directory and look at its plan first", watched, dir)
		}
	}
	return nil
}

// overlaps reports whether two directories are the same, or one lies below the other, whatever symbolic
// links and bind mounts lead there.
func overlaps(a, b string) (bool, error) {
	below, err := isBelow(a, b)
	if err != nil || below {
		return below, err
	}
	return isBelow(b, a)
}

// isBelow reports whether a directory, which need not exist, is another one or lies below it.
func isBelow(dir, other string) (bool, error) {
	path, err := resolved(dir)
	if err != nil {
		return false, err
	}
	if other, err = resolved(other); err != nil {
		return false, err
	}
	there, err := os.Stat(other)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	for at := path; ; at = filepath.Dir(at) {
		if at == other {
			return true, nil
		}
		if here, err := os.Stat(at); err == nil && there != nil && os.SameFile(here, there) {
			return true, nil
		}
		if at == filepath.Dir(at) {
			return false, nil
		}
	}
}

// resolved returns a path without symbolic links. What of it does not exist is left as it is.
func resolved(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	target, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
		return target, err
	}
	if link, err := os.Readlink(path); err == nil { // it leads to what does not exist yet
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		return resolved(link)
	}
	above, err := resolved(filepath.Dir(path))
	return filepath.Join(above, filepath.Base(path)), err
}
