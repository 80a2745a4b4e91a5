package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/safepath"
)

// nodeLockDir has the lock that is one for the whole machine. It is a variable for tests, which
// must not wait for an agent that is at work here.
var nodeLockDir = defaultRuntimeDir

// lock keeps others from changing this node. The kernel lets go of it with the
// process, however that ends.
type lock []*os.File

// lockNode takes the lock of the node that the settings name, or reports who has it. That is the one in the
// runtime directory, which is the one that others look at to find the agent, and for a
// machine the one of the default runtime directory as well. Two agents with
// different runtime directories would undo each other's changes otherwise.
func (s *settings) lockNode() (lock, error) {
	dirs := []string{s.runtimeDir}
	if s.backend != backendFake {
		dirs = append(dirs, nodeLockDir)
	}
	var l lock
	for _, dir := range dirs {
		if err := l.take(dir); err != nil {
			l.release()
			return nil, err
		}
	}
	for _, f := range l {
		if err := writeHolder(f); err != nil {
			l.release()
			return nil, fmt.Errorf("cannot write the lock: %w", err)
		}
	}
	return l, nil
}

// needsRoot advises a user who may not do something to become root, as the end of a sentence.
func needsRoot(err error) string { return needsRootAs(os.Geteuid(), err) }

func needsRootAs(user int, err error) string {
	if user == 0 || !errors.Is(err, fs.ErrPermission) && !strings.Contains(err.Error(), "Permission denied") { // the latter is LVM's
		return ""
	}
	return "; run the command as root"
}

// take locks the file in a directory, unless that is one that is locked here already.
func (l *lock) take(dir string) error {
	if err := safepath.MakeDir(dir); err != nil {
		return fmt.Errorf("cannot lock the node in %s: %w%s", dir, err, needsRoot(err))
	}
	f, err := safepath.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the lock: %w%s", err, needsRoot(err))
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	for _, held := range *l {
		if is, err := held.Stat(); err == nil && os.SameFile(st, is) {
			return f.Close()
		}
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errors.Join(fmt.Errorf("another volreconciler%s runs on this node and holds lock %s; stop it first", holder(f), f.Name()), f.Close())
	case err != nil:
		return errors.Join(fmt.Errorf("cannot lock %s: %w", f.Name(), err), f.Close())
	}
	*l = append(*l, f)
	return nil
}

// writeHolder writes into a lock which process has it.
func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// release lets go. The files stay: removing one would let two others lock two
// different files of that name.
func (l lock) release() {
	for _, f := range l {
		// Neither failure leaves a lock behind.
		_ = f.Truncate(0)
		_ = f.Close()
	}
}

// holder names the process that has the lock, as far as it is known.
func holder(f *os.File) string {
	data := make([]byte, 32)
	n, err := f.ReadAt(data, 0)
	if pid := strings.TrimSpace(string(data[:n])); (err == nil || errors.Is(err, io.EOF)) && pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}
