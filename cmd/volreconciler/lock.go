package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lock keeps others from changing this node. The kernel lets go of it with the
// process, however that ends.
type lock struct{ file *os.File }

// lockNode takes the lock in the runtime directory, or says who has it.
func lockNode(runtimeDir string) (*lock, error) {
	if err := os.MkdirAll(runtimeDir, 0o700); err != nil {
		return nil, fmt.Errorf("the runtime directory cannot be made: %w", err)
	}
	path := filepath.Join(runtimeDir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the lock cannot be opened: %w", err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("another volreconciler%s is at work on this node and has locked %s; only one at a time can be", holder(path), path), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("%s cannot be locked: %w", path, err), f.Close())
	}
	l := &lock{f}
	if err := l.sign(); err != nil {
		l.release()
		return nil, fmt.Errorf("the lock cannot be written: %w", err)
	}
	return l, nil
}

// sign writes into the lock whose it is.
func (l *lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// release lets go. The file stays: removing it would let two others lock two
// different files of that name.
func (l *lock) release() {
	// Neither failure leaves a lock behind.
	_ = l.file.Truncate(0)
	_ = l.file.Close()
}

// holder names the process that has the lock, as far as can be told.
func holder(path string) string {
	data, err := os.ReadFile(path)
	if pid := strings.TrimSpace(string(data)); err == nil && pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}
