package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/actuators/backups"
	"github.com/volreconciler/volreconciler/pkg/actuators/backups/fakebackups"
	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
	"github.com/volreconciler/volreconciler/pkg/safepath"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// newBackups returns what backs up, and the catalog of repositories. It has the actuator of jobs restore backups. A fake
// machine has repositories of its own, which end with this process.
func newBackups(s *settings, b *backend, data *jobs.Actuator, limit *blockcopy.Limiter, log logr.Logger) (change.Actuator, *catalog.Catalog, error) {
	o := backups.Options{Run: b, Sources: data, MountDir: filepath.Join(s.runtimeDir, "backups"), Limit: limit, Log: log}
	if b.backups != nil {
		known, err := catalog.Open("", catalog.Options{With: b.backups.With, Log: log})
		if err != nil {
			return nil, nil, err
		}
		data.UseBackups(&backups.Restorer{With: b.backups.With, Write: b.backups.Write})
		o.Changes, o.BackUp, o.With, o.Catalog = b.backups, b.backups.BackUp, b.backups.With, known
		return backups.New(o), known, nil
	}
	node, err := os.Hostname()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read this node's host name: %w", err)
	}
	o.With = s.restic(node)
	if err := safepath.CheckFile(s.repositories()); err != nil {
		return nil, nil, fmt.Errorf("cannot use the state of repositories: %w", err)
	}
	if o.Catalog, err = catalog.Open(s.repositories(), catalog.Options{With: o.With, Log: log}); err != nil {
		return nil, nil, err
	}
	if engine, is := b.blocks.(*jobs.Engine); is {
		o.Changes = engine
	}
	data.UseBackups(&backups.Restorer{With: o.With, Limit: limit})
	return backups.New(o), o.Catalog, nil
}

// restic returns all of a repository but its URL, password and environment. node is the name that backups are of.
func (s *settings) restic(node string) restic.Repository {
	return restic.Repository{CacheDir: s.data.backupCache, Host: node, Idle: true}
}

// repositories is the file of what is known of repositories besides what they contain.
func (s *settings) repositories() string { return filepath.Join(s.stateDir, "repositories.json") }

// newFakeBackups returns what backs up the devices of a fake machine.
func newFakeBackups(engine fakehost.Engine) *fakebackups.Engine {
	return &fakebackups.Engine{Engine: engine, With: restic.Repository{Runner: fakerestic.NewRestic()}}
}

// readRepositories reads the declared repositories. It changes nothing there, and remembers nothing.
func (s *settings) readRepositories(ctx context.Context, b *backend, declared map[string]spec.Repository) (map[string]observe.Repository, error) {
	if b.backups != nil || len(declared) == 0 {
		return nil, nil //nolint:nilnil // nothing is known of those of a captured node
	}
	known, err := catalog.Open(s.repositories(), catalog.Options{With: s.restic(""), Log: logr.Discard(), ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer known.Close()
	return patient(ctx, known)(declared), nil
}

// patience is how long a command waits for repositories that do not answer.
const patience = time.Minute

// patient returns what is known of repositories, and waits for those that are being read.
func patient(ctx context.Context, known *catalog.Catalog) func(map[string]spec.Repository) map[string]observe.Repository {
	return func(declared map[string]spec.Repository) map[string]observe.Repository {
		known.Observe(declared)
		ctx, stop := context.WithTimeout(ctx, patience)
		defer stop()
		known.Wait(ctx)
		return known.Observe(declared)
	}
}

// either returns a channel with a value whenever one of two has one.
func either(ctx context.Context, a, b <-chan struct{}) <-chan struct{} {
	both := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-a:
			case <-b:
			case <-ctx.Done():
				return
			}
			select {
			case both <- struct{}{}:
			default:
			}
		}
	}()
	return both
}
