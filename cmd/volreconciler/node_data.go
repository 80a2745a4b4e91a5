package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/image/cache"
	"github.com/volreconciler/volreconciler/pkg/image/fetch"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// copyLimit returns the limit of all that moves data.
func (s *settings) copyLimit() *blockcopy.Limiter {
	return blockcopy.NewLimiter(int64(s.data.copyRate))
}

// newDataActuator returns what changes the data in the volumes of a machine. A fake
// one has no images to fill volumes from.
//
// It runs LVM's commands without the shell that a pass has, and ends: jobs are there
// between passes.
func newDataActuator(s *settings, b *backend, limit *blockcopy.Limiter) (*jobs.Actuator, error) {
	if s.backend == backendFake {
		actuator := jobs.New(b, lvm.New(b, b), b.blocks, nil, limit)
		actuator.UseImageFiles(b.imageFiles)
		return actuator, nil
	}
	if s.data.imageCAFile != "" {
		if err := spec.CheckNamesFile(s.data.imageCAFile); err != nil {
			return nil, fmt.Errorf("image-ca-file: %w", err)
		}
	}
	fetcher, err := fetch.New(fetch.Options{Proxy: s.data.imageProxy, CAFile: s.data.imageCAFile})
	if err != nil {
		return nil, fmt.Errorf("cannot fetch images with these settings: %w", err)
	}
	images := &lazyImages{settings: s.data, fetcher: fetcher, limit: limit}
	blocks := b.blocks
	if s.data.verifyCopies {
		blocks = jobs.Verified{Blocks: blocks}
	}
	actuator := jobs.New(b, lvm.New(b, b), blocks, images, limit)
	actuator.UseImageFiles(&jobs.QEMUImageFiles{Rate: int64(s.data.copyRate)})
	return actuator, nil
}

// lazyImages opens the cache of images when the first one is asked for: a node that
// uses none has none.
type lazyImages struct {
	settings dataSettings
	fetcher  *fetch.Fetcher
	limit    *blockcopy.Limiter

	mu    sync.Mutex
	cache *cache.Cache // nil: not opened yet
}

// Write is that of [jobs.Images].
func (l *lazyImages) Write(ctx context.Context, image change.Image, to jobs.Target) error {
	c, err := l.open()
	if err != nil {
		return err
	}
	stored := &jobs.CachedImages{Cache: c, Rate: int64(l.settings.copyRate), Limit: l.limit}
	return stored.Write(ctx, image, to)
}

func (l *lazyImages) open() (c *cache.Cache, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cache == nil {
		l.cache, err = cache.Open(cache.Options{
			Dir: l.settings.imageCache, MaxBytes: int64(l.settings.imageCacheSize), MaxAge: l.settings.imageCacheAge, Fetcher: l.fetcher,
		})
	}
	return l.cache, err
}

// fakeImageFiles makes image files on a fake machine.
type fakeImageFiles struct{ fakehost.Engine }

// Write is that of [jobs.ImageFiles].
func (f fakeImageFiles) Write(ctx context.Context, i jobs.ImageFile) error {
	return f.ExportImage(ctx, i.Device, int64(i.Size), i.Path)
}
