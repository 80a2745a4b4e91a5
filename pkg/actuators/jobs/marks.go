package jobs

import (
	"context"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// marks are the checkpoints on a logical volume while a job works on it.
type marks struct {
	lvm change.Actuator
	lv  change.LV
	key string // what is copied
	// own are the checkpoints of this job, of which there is one at most but for
	// what somebody did by hand. others are those of what was copied before and is
	// not any more: as long as they are there, what is on the device is of both.
	own, others []string
	// at is what the checkpoint said when this job began.
	at uint64
}

func (a *Actuator) marks(now observe.LogicalVolume, lv change.LV, key string) *marks {
	m := &marks{lvm: a.lvm, lv: lv, key: key, at: now.Checkpoint(key)}
	for _, t := range now.TagsWith(ondisk.TagCheckpoint) {
		if strings.HasPrefix(t, ondisk.TagCheckpoint+key+":") {
			m.own = append(m.own, t)
		} else {
			m.others = append(m.others, t)
		}
	}
	return m
}

// from is what a job of so many bytes goes on from.
func (m *marks) from(size uint64) int64 { return int64(min(m.at, size)) }

// begin marks the logical volume before the first byte is written, so that
// whoever comes later knows that something was.
func (m *marks) begin(ctx context.Context) error { return m.checkpoint(ctx, m.at) }

// checkpoint says that so many bytes from the start have reached the device. From
// the first one on the others count none: what they counted is overwritten, and if
// it is their turn again, all of it is to be copied.
func (m *marks) checkpoint(ctx context.Context, bytes uint64) error {
	want := []string{ondisk.CheckpointTag(m.key, bytes)}
	for _, t := range m.others {
		if of := t[:strings.LastIndex(t, ":")+1]; !slices.Contains(want, of+"0") {
			want = append(want, of+"0")
		}
	}
	have := m.all()
	added := slices.DeleteFunc(slices.Clone(want), func(t string) bool { return slices.Contains(have, t) })
	removed := slices.DeleteFunc(have, func(t string) bool { return slices.Contains(want, t) })
	if len(added)+len(removed) == 0 {
		return nil
	}
	err := m.lvm.Apply(ctx, change.SetTags{LV: m.lv, Add: added, Remove: removed})
	if err == nil {
		m.own, m.others = want[:1], want[1:]
	}
	return err
}

// all are the checkpoints that go when the job is done.
func (m *marks) all() []string { return slices.Concat(m.own, m.others) }

// saver returns a checkpoint as the engine calls it.
func (m *marks) saver(ctx context.Context) func(int64) error {
	return func(bytes int64) error { return m.checkpoint(ctx, uint64(bytes)) }
}

// teller returns a function that passes the engine's progress on.
func teller(ctx context.Context) func(blockcopy.Progress) {
	return func(p blockcopy.Progress) {
		change.Report(ctx, change.Progress{
			Done: uint64(p.Done), Total: uint64(p.Total), Rate: uint64(p.Rate), Left: max(p.Left, 0),
		})
	}
}
