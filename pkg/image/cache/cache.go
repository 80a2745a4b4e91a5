// Package cache keeps verified, decompressed images in a directory, so that one
// download feeds many volumes.
//
// An image is known by its checksum; one without by its address and the version that
// the server says it has, or by its path and what the file system says of the file. It
// is under its final name only when it is complete and verified. Local images that
// are not compressed are used where they are.
//
// Users of one image wait for one download (a lock per image, which works between
// processes too). Images that are in use are never removed: whoever uses one
// holds a lock on the file itself, and so does every program that its descriptor is
// handed to.
//
// What callers can rely on: a cached image matched its checksum when it was stored, and
// nobody but the owner of this directory can have changed it since. It is not read again
// for each use. A local image is opened once, and its checksum is computed from that very
// file; if somebody writes to it afterwards, [image.File.Unchanged] reports it at the end.
//
// The package never writes to a device. Start reading at [Cache.Get].
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/fetch"
	"github.com/volreconciler/volreconciler/pkg/safepath"
)

// DefaultDir is where images are kept.
const DefaultDir = "/var/cache/volreconciler/images"

// Options say where and how much. Fetcher is needed for addresses.
type Options struct {
	// Dir is the directory; by default [DefaultDir]. It is created for its owner alone, and
	// not used if others can write to it, or to a file in it.
	Dir string
	// MaxBytes is how much may lie there, counted in blocks on disk; by default 50 GB. More is
	// there while it is in use.
	MaxBytes int64
	// MaxAge is how long an image is kept that nobody uses; by default 30 days.
	MaxAge time.Duration
	// MaxImage is the size in bytes that an image may have when it is decompressed; by default 1 TiB.
	MaxImage int64
	Fetcher  *fetch.Fetcher
}

// Cache is the directory. It may be used by many at once, and by several processes.
type Cache struct {
	o Options
	// now is the clock by which images get old.
	now func() time.Time

	mu sync.Mutex
	// verified holds local files that were equal to a checksum, so that they are
	// not read for each volume again.
	verified map[string]bool
}

// Open opens the directory, creates it if it is missing, and removes what a crash
// has left: incomplete files that nobody has locked. Interrupted downloads are kept,
// to be resumed.
func Open(o Options) (*Cache, error) {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 50e9
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 30 * 24 * time.Hour
	}
	if o.MaxImage <= 0 {
		o.MaxImage = 1 << 40
	}
	if err := safepath.MakeDir(o.Dir); err != nil {
		return nil, fmt.Errorf("cannot open the image cache: %w", err)
	}
	c := &Cache{o: o, now: time.Now, verified: map[string]bool{}}
	return c, c.removeLeftovers()
}

// Stage is what is being done with an image.
type Stage string

// The stages before an image can be used.
const (
	Downloading   Stage = "downloading"
	Verifying     Stage = "verifying"
	Decompressing Stage = "decompressing"
)

// Request is an image that is wanted: by its address or its path.
type Request struct {
	URL, Path string
	// Checksum is of the file as it is there, compressed or not.
	Checksum image.Checksum
	// Limit is the bandwidth of a download in bytes per second; 0: none.
	Limit int64
	// Progress, if given, is called with the bytes of a stage; a total of -1 is not known.
	Progress func(stage Stage, done, total int64)
	// Aside, if given, is called with what takes as long as the network, or somebody else's
	// download, does. An error of either is that of the request.
	Aside func(wait func() error) error
}

func (r Request) aside(wait func() error) error {
	if r.Aside != nil {
		return r.Aside(wait)
	}
	return wait()
}

func (r Request) report(stage Stage, done, total int64) {
	if r.Progress != nil {
		r.Progress(stage, done, total)
	}
}

// Image is an image that can be read until it is closed.
type Image struct {
	File *image.File
	// Key is the image's name in the cache, and a name for what is made of it: two images of
	// one key have the same content. Empty for one that is used in place.
	Key   string
	cache *Cache
}

// Close ends the use of an image.
func (i *Image) Close() error {
	err := i.File.Close()
	if strings.HasPrefix(i.Key, onceKey) {
		_, rerr := i.cache.remove(i.Key)
		err = errors.Join(err, rerr)
	}
	return err
}

// Get returns an image that is complete, verified and decompressed. It waits for others who
// fetch the same one. An image that is at fault is an [image.ErrRefused].
func (c *Cache) Get(ctx context.Context, r Request) (*Image, error) {
	switch {
	case (r.URL == "") == (r.Path == ""):
		return nil, errors.New("an image must have either an address or a path")
	case r.Path != "":
		return c.local(ctx, r)
	default:
		return c.remote(ctx, r)
	}
}

// sidecar is the file beside an image that describes it to people. Its modification time is
// when the image was last used.
type sidecar struct {
	Source string    `json:"source"`
	Added  time.Time `json:"added"`
}

// entry returns an image, which has a source that everybody may see, after it was made by fill if it was not there.
func (c *Cache) entry(ctx context.Context, key, source string, r Request, fill func() error) (*Image, error) {
	unlock, err := c.tryLock(key)
	if err == nil && unlock == nil {
		err = r.aside(func() (err error) {
			unlock, err = c.lock(ctx, key)
			return err
		})
	}
	if err != nil {
		if unlock != nil {
			err = errors.Join(err, unlock())
		}
		return nil, err
	}
	img, err := c.open(key)
	if errors.Is(err, fs.ErrNotExist) {
		if err = fill(); errors.Is(err, unix.ENOSPC) {
			// The limit is larger than the disk. The next attempt finds all the room there is.
			_, everr := c.evict(0)
			err = errors.Join(err, everr)
		} else if err == nil {
			err = c.describe(key, source)
		}
		if err == nil {
			img, err = c.open(key)
		}
	}
	if err = errors.Join(err, unlock()); err != nil {
		if img != nil {
			err = errors.Join(err, img.Close())
		}
		return nil, err
	}
	// What is in use is kept, and so is this image. That others could not be removed is no
	// reason not to use it; the next call tries again.
	_, _ = c.Evict()
	return img, nil
}

func (c *Cache) describe(key, source string) error {
	b, err := json.Marshal(sidecar{Source: source, Added: c.now().UTC()})
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.path(key, aboutSuffix), append(b, '\n'), 0o600); err != nil {
		return err
	}
	d, err := os.Open(c.o.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// open opens an entry and marks it as in use. The caller has its lock.
func (c *Cache) open(key string) (*Image, error) {
	f, err := os.OpenFile(c.path(key, imageSuffix), os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("flock %s: %w", f.Name(), err), f.Close())
	}
	now := c.now()
	if err := os.Chtimes(c.path(key, aboutSuffix), now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	img, err := image.FromFile(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Image{File: img, Key: key, cache: c}, nil
}

// dropPart removes the files that a download needs only while it runs.
func (c *Cache) dropPart(key string) error {
	return removeAll(c.path(key, partSuffix), fetch.PartVersion(c.path(key, partSuffix)))
}

func removeAll(paths ...string) error {
	var errs []error
	for _, p := range paths {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Names of files are KEY and one of these.
const (
	imageSuffix = ".img"
	aboutSuffix = ".json"
	partSuffix  = ".part"
	tmpSuffix   = ".tmp"
	lockSuffix  = ".lock"
)

// Keys begin with what they are made of.
const (
	urlKey  = "url-"
	fileKey = "file-"
	onceKey = "once-"
)

func (c *Cache) path(key, suffix string) string { return filepath.Join(c.o.Dir, key+suffix) }

func checksumKey(sum image.Checksum) string {
	if sum.IsZero() {
		return ""
	}
	return sum.Algorithm + "-" + sum.Hex
}

func versionKey(address string, v fetch.Version) string {
	return hashKey(urlKey, address, v.ETag, v.LastModified, fmt.Sprint(v.Size))
}

func hashKey(prefix string, parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return prefix + hex.EncodeToString(h[:])
}
