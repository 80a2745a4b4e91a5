package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/safepath"
)

// ours is how the names of our files look. Others in the directory are left alone.
var ours = regexp.MustCompile(`^((?:sha256|sha512|url|file|once)-[0-9a-z]+)(\.img|\.json|\.part|\.part\.json|\.part\.json\.new|\.tmp|\.lock)$`)

// Stored is an image in the cache, or what there is of one.
type Stored struct {
	Key string
	// Bytes on disk.
	Bytes int64
	// Used is when it was last used.
	Used time.Time
	// Complete is false for a download that has not ended.
	Complete bool
}

// List returns what is there, the least recently used first.
func (c *Cache) List() ([]Stored, error) {
	files, err := os.ReadDir(c.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the image cache: %w", err)
	}
	byKey := map[string]*Stored{}
	for _, f := range files {
		m := ours.FindStringSubmatch(f.Name())
		if m == nil || !f.Type().IsRegular() || m[2] == lockSuffix {
			continue
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(c.o.Dir, f.Name()), &st); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("cannot read the image cache: %s: %w", f.Name(), err)
		}
		e := byKey[m[1]]
		if e == nil {
			e = &Stored{Key: m[1]}
			byKey[m[1]] = e
		}
		e.Bytes += st.Blocks * 512
		e.Complete = e.Complete || m[2] == imageSuffix
		if t := time.Unix(st.Mtim.Unix()); t.After(e.Used) {
			e.Used = t
		}
	}
	entries := make([]Stored, 0, len(byKey))
	for _, e := range byKey {
		entries = append(entries, *e)
	}
	slices.SortFunc(entries, func(a, b Stored) int {
		if d := a.Used.Compare(b.Used); d != 0 {
			return d
		}
		return strings.Compare(a.Key, b.Key)
	})
	return entries, nil
}

// Evict removes images that nobody has used for too long, and then the least
// recently used ones until the rest is within the limit. What is in use or
// being made is kept. It returns the bytes that were freed.
func (c *Cache) Evict() (freed int64, err error) { return c.evict(c.o.MaxBytes) }

func (c *Cache) evict(maxBytes int64) (freed int64, err error) {
	entries, err := c.List()
	if err != nil {
		return 0, err
	}
	var total int64
	for _, e := range entries {
		total += e.Bytes
	}
	var errs []error
	for _, e := range entries {
		if c.now().Sub(e.Used) <= c.o.MaxAge && total <= maxBytes {
			continue
		}
		gone, err := c.remove(e.Key)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot remove %s from the image cache: %w", e.Key, err))
		}
		if gone {
			total -= e.Bytes
			freed += e.Bytes
		}
	}
	return freed, errors.Join(errs...)
}

// remove removes all files of an image, unless somebody uses or makes it.
func (c *Cache) remove(key string) (gone bool, err error) {
	unlock, err := c.tryLock(key)
	if err != nil || unlock == nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	f, err := os.OpenFile(c.path(key, imageSuffix), os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err == nil {
		defer func() { err = errors.Join(err, f.Close()) }()
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			// Somebody uses it.
			return false, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	part := c.path(key, partSuffix)
	return true, removeAll(c.path(key, imageSuffix), c.path(key, aboutSuffix), part, part+".json", part+".json.new", c.path(key, tmpSuffix))
}

// removeLeftovers removes what nobody can use: half-decompressed files, images for one use, and locks of
// processes that have ended. Files that somebody else may have made, or can write to, are an error: since
// nobody else can create files here, they were created while the directory was not safe.
func (c *Cache) removeLeftovers() error {
	files, err := os.ReadDir(c.o.Dir)
	if err != nil {
		return fmt.Errorf("cannot read the image cache: %w", err)
	}
	var errs []error
	for _, f := range files {
		m := ours.FindStringSubmatch(f.Name())
		if m == nil {
			continue
		}
		if err := safepath.CheckFile(filepath.Join(c.o.Dir, f.Name())); err != nil {
			errs = append(errs, fmt.Errorf("cannot open the image cache: %w", err))
			continue
		}
		key, suffix := m[1], m[2]
		switch {
		case strings.HasPrefix(key, onceKey) && suffix != lockSuffix:
			_, err = c.remove(key)
		case suffix == tmpSuffix || suffix == partSuffix+".json.new" || suffix == lockSuffix:
			err = c.removeLeftover(key, suffix)
		default:
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot clean the image cache: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (c *Cache) removeLeftover(key, suffix string) error {
	unlock, err := c.tryLock(key)
	if err != nil || unlock == nil {
		return err
	}
	if suffix != lockSuffix {
		err = removeAll(c.path(key, suffix))
	}
	// The lock's file is removed with the lock.
	return errors.Join(err, unlock())
}

// lock waits until nobody else makes or removes an image.
func (c *Cache) lock(ctx context.Context, key string) (unlock func() error, err error) {
	for {
		unlock, err := c.tryLock(key)
		if err != nil || unlock != nil {
			return unlock, err
		}
		// flock cannot be waited for with a context; a download takes longer than this.
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another process to fetch the image: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tryLock returns nil if somebody else has the lock.
func (c *Cache) tryLock(key string) (unlock func() error, err error) {
	path := c.path(key, lockSuffix)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, f.Close()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("flock %s: %w", path, err), f.Close())
	}
	// Whoever had it before has removed the file: then this is a lock on nothing.
	held, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(held, there) {
		return nil, f.Close()
	}
	return func() error { return errors.Join(os.Remove(path), f.Close()) }, nil
}
