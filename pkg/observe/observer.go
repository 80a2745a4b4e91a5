package observe

import (
	"context"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// Observer reads the machine. It is safe for concurrent use and remembers
// nothing.
type Observer struct {
	host host.Host
}

// New returns an Observer of a machine.
func New(h host.Host) *Observer { return &Observer{host: h} }

// Observe reads all systems. One that cannot be read is in Unknown, and nothing
// of it is in the State.
func (o *Observer) Observe(ctx context.Context) State {
	var (
		s              State
		lvmErr, lioErr error
		both           sync.WaitGroup
	)
	both.Go(func() { s.VolumeGroups, lvmErr = readLVM(ctx, o.host) })
	both.Go(func() { s.LIO, lioErr = readLIO(o.host) })
	both.Wait()

	s.Unknown = map[System]error{}
	if lvmErr != nil {
		s.Unknown[LVM] = lvmErr
	}
	if lioErr != nil {
		s.Unknown[LIO] = lioErr
	}
	return s
}
