package observe

import (
	"context"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// Observer reads the machine. It is safe for concurrent use, and remembers
// nothing but what it has begun to read and left to itself.
type Observer struct {
	lvm lvmReader
	lio lioReader
}

// New returns an Observer of a machine.
func New(h host.Host) *Observer {
	return &Observer{
		lvm: lvmReader{host: h, patience: defaultPatience},
		lio: lioReader{host: h, patience: defaultPatience},
	}
}

// Observe reads all systems. One that cannot be read is in Unknown, and nothing
// of it is in the State. Volume groups that cannot be read are in UnknownGroups.
func (o *Observer) Observe(ctx context.Context) State {
	var (
		s      State
		lvm    lvmReport
		lioErr error
		both   sync.WaitGroup
	)
	both.Go(func() { lvm = o.lvm.read(ctx) })
	both.Go(func() { s.LIO, lioErr = o.lio.read() })
	both.Wait()

	s.VolumeGroups, s.UnknownGroups = lvm.groups, lvm.unread
	s.Unknown = map[System]error{}
	if lvm.err != nil {
		s.Unknown[LVM] = lvm.err
	}
	if lioErr != nil {
		s.Unknown[LIO] = lioErr
	}
	return s
}
