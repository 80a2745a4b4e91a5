package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/lio"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/nvmet"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/tgt"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/safepath"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// socket is where the agent answers.
func (s *settings) socket() string { return filepath.Join(s.runtimeDir, "agent.sock") }

// memory is the file that remembers which logical volume each object had. A fake
// node has its own, beside its file: this machine's are others.
func (s *settings) memory() string {
	if s.backend == backendFake {
		return s.nodeFile() + ".identities.json"
	}
	return filepath.Join(s.stateDir, "identities.json")
}

// installation returns what tells this installation's logical volumes from others'; nil: nothing
// does. On a fake node all are its own, whoever captured it.
func (s *settings) installation() (*reconcile.Installation, error) {
	if s.backend == backendFake {
		return nil, nil //nolint:nilnil // none is needed, and nothing is wrong
	}
	node, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("cannot read this node's host name: %w", err)
	}
	return reconcile.OpenInstallation(s.stateDir, s.memory(), node)
}

// lastGood is the directory of the last good content of the spec files.
func (s *settings) lastGood() string {
	if s.backend == backendFake {
		return s.nodeFile() + ".last-good"
	}
	return filepath.Join(s.stateDir, "last-good")
}

// source returns the source of the objects declared for this node. For a fake node no
// passwords are read, because they would be written to its file.
func (s *settings) source(log logr.Logger, keeper spec.Keeper) *spec.Source {
	fake := s.backend == backendFake
	recall := s.deletionGrace
	if recall == 0 {
		recall = -1 // what went with the file that has gone has gone as well
	}
	var also []string
	for _, file := range []string{s.discoveryFile, s.discoveryMutualFile} {
		if file != "" {
			also = append(also, file)
		}
	}
	return spec.NewSource(s.specs, spec.Options{Also: also, TargetPrefix: s.targetPrefix, Secrets: !fake, Redact: fake, Recall: recall, Log: log, Keeper: keeper})
}

// makeDirs makes the directories of LVM's shells and of the memory, in which nobody else may make the agent believe
// something. That of a fake node is beside its file, wherever somebody has put that.
func (s *settings) makeDirs() error {
	if s.backend == backendFake {
		if err := os.MkdirAll(filepath.Dir(s.memory()), 0o700); err != nil {
			return fmt.Errorf("cannot create the state directory: %w", err)
		}
		return nil
	}
	if err := safepath.MakeDir(s.stateDir); err != nil {
		return fmt.Errorf("cannot use the state directory: %w", err)
	}
	if err := safepath.CheckFile(s.memory()); err != nil {
		return fmt.Errorf("cannot use the memory of objects: %w", err)
	}
	if err := safepath.CheckFile(filepath.Join(s.stateDir, reconcile.InstallationFile)); err != nil {
		return fmt.Errorf("cannot use this installation's ID: %w", err)
	}
	// Where it cannot be used, LVM's shell is not used either, and everything is only slower; that must
	// not stay unnoticed.
	if err := safepath.MakeDir(s.lvmDir()); err != nil {
		return fmt.Errorf("cannot use the directory of LVM's configuration: %w", err)
	}
	return nil
}

// lvmDir is where LVM's shells have their copy of its configuration.
func (s *settings) lvmDir() string { return filepath.Join(s.runtimeDir, "lvm") }

// newLoop puts the parts together that change a machine. The caller must hold
// the node's lock, and close the catalog of repositories in the end.
func newLoop(s *settings, source reconcile.Source, b *backend, log logr.Logger) (*reconcile.Loop, *catalog.Catalog, error) {
	// Found out now, not when there is something to be remembered: by then it
	// would be too late to do without.
	if err := s.makeDirs(); err != nil {
		return nil, nil, err
	}
	memory, err := reconcile.OpenMemory(s.memory())
	if err != nil {
		return nil, nil, err
	}
	installation, err := s.installation()
	if err != nil {
		return nil, nil, err
	}
	limit := s.copyLimit()
	jobs, err := newDataActuator(s, b, limit)
	if err != nil {
		return nil, nil, err
	}
	repositories, known, err := newBackups(s, b, jobs, limit, log)
	if err != nil {
		return nil, nil, err
	}
	kernel := lio.New(b)
	kernel.Prepare()
	actuators := map[observe.System]change.Actuator{
		observe.LVM:   lvm.New(b.lvm, b),
		observe.LIO:   kernel,
		observe.NVMet: nvmet.New(b),
		observe.Data:  jobs,

		observe.Repositories: repositories,
	}
	if b.tgt != nil {
		actuators[observe.TGT] = tgt.New(b.tgt, b, nil)
	}
	return &reconcile.Loop{
		Source:       source,
		Observer:     b.observer(),
		Executor:     &execute.Executor{Actuators: actuators, Jobs: s.data.maxJobs},
		MaxDeletions: s.maxDeletions,
		TGT:          b.tgt != nil,
		Discovery:    s.discovery,
		Memory:       memory,
		Installation: installation,
		Status:       &status.Board{},
		Log:          log,
		Processes:    b.processes,
		Commands:     b.commands,
		AfterPass: func() {
			if err := b.endPass(); err != nil {
				log.Error(err, "a pass did not finish normally")
			}
		},
		Repositories: known.Observe,
	}, known, nil
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM. The
// second one then has its usual effect and ends the process.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
