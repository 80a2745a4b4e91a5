package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/fetch"
	"github.com/volreconciler/volreconciler/pkg/image/unpack"
	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

// local uses a file in place, or decompresses it into the cache.
func (c *Cache) local(ctx context.Context, r Request) (img *Image, err error) {
	f, err := image.Open(r.Path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if img == nil || img.File != f {
			err = errors.Join(err, f.Close())
		}
	}()
	kind, err := unpack.Detect(f)
	if err != nil {
		return nil, err
	}
	if !r.Checksum.IsZero() {
		if err := c.verify(ctx, f, r); err != nil {
			return nil, err
		}
	}
	if kind == unpack.None {
		return &Image{File: f}, nil
	}
	key := checksumKey(r.Checksum)
	if key == "" {
		key = hashKey(fileKey, r.Path, f.Fingerprint())
	}
	return c.entry(ctx, key, r.Path, r, func() error {
		if err := c.unpack(ctx, key, f.File, f.Size(), kind, r); err != nil {
			return err
		}
		return f.Unchanged()
	})
}

func (c *Cache) verify(ctx context.Context, f *image.File, r Request) error {
	known := f.Fingerprint() + " " + r.Checksum.String()
	c.mu.Lock()
	done := c.verified[known]
	c.mu.Unlock()
	if done {
		return nil
	}
	r.report(Verifying, 0, f.Size())
	if err := f.Verify(ctx, r.Checksum); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.verified) > 1000 {
		clear(c.verified)
	}
	c.verified[known] = true
	return nil
}

// remote downloads an image, unless it is there.
func (c *Cache) remote(ctx context.Context, r Request) (*Image, error) {
	if err := fetch.CheckURL(r.URL, r.Checksum); err != nil {
		return nil, err
	}
	if c.o.Fetcher == nil {
		return nil, errors.New("cannot download images: this agent has no downloader")
	}
	var looked fetch.Version
	key := checksumKey(r.Checksum)
	if key == "" {
		v, err := c.o.Fetcher.Look(ctx, r.URL)
		var status *fetch.StatusError
		if err != nil && !errors.As(err, &status) {
			return nil, err
		}
		// Some servers refuse to be asked (signed addresses of object stores), and some do not
		// know versions. Then an image is fetched for each use.
		if err == nil && v.Known() {
			looked, key = v, versionKey(r.URL, v)
		} else {
			key = onceKey + strings.ToLower(rand.Text())
		}
	}
	return c.entry(ctx, key, publicurl.Of(r.URL), r, func() error {
		part := c.path(key, partSuffix)
		var got fetch.Version
		err := r.aside(func() (err error) {
			got, err = c.o.Fetcher.Fetch(ctx, fetch.Request{URL: r.URL, Checksum: r.Checksum, Part: part, Limit: r.Limit,
				Progress: func(done, total int64) { r.report(Downloading, done, total) }})
			return err
		})
		if err != nil {
			return err
		}
		if looked.Known() && versionKey(r.URL, got) != key {
			return errors.Join(fmt.Errorf("%s: the file on the server changed during the download; the download restarts", got.URL), c.dropPart(key))
		}
		return c.storeDownload(ctx, key, r)
	})
}

// storeDownload makes an entry of a download that is complete and verified.
func (c *Cache) storeDownload(ctx context.Context, key string, r Request) (err error) {
	part, err := os.OpenFile(c.path(key, partSuffix), os.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	kind, err := unpack.Detect(part)
	if err != nil {
		return err
	}
	if kind == unpack.None {
		if err := os.Rename(part.Name(), c.path(key, imageSuffix)); err != nil {
			return err
		}
	} else {
		st, err := part.Stat()
		if err != nil {
			return err
		}
		if err := c.unpack(ctx, key, part, st.Size(), kind, r); err != nil {
			if errors.Is(err, image.ErrRefused) {
				err = errors.Join(err, c.dropPart(key))
			}
			return err
		}
	}
	return c.dropPart(key)
}

// unpack decompresses a file to its place.
func (c *Cache) unpack(ctx context.Context, key string, source *os.File, size int64, kind unpack.Compression, r Request) error {
	tmp, err := os.OpenFile(c.path(key, tmpSuffix), os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	r.report(Decompressing, 0, size)
	_, err = unpack.Unpack(ctx, source, kind, tmp, c.o.MaxImage, func(read int64) { r.report(Decompressing, read, size) })
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return os.Rename(tmp.Name(), c.path(key, imageSuffix))
}
