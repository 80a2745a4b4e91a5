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

// checkpoints are the checkpoints on a logical volume while a job works on it.
type checkpoints struct {
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

func (a *Actuator) marks(now observe.LogicalVolume, lv change.LV, key string) *checkpoints {
	m := &checkpoints{lvm: a.lvm, lv: lv, key: key, at: now.Checkpoint(key)}
	for _, t := range now.TagsWith(ondisk.TagCheckpoint) {
		if strings.HasPrefix(t, ondisk.TagCheckpoint+key+":") {
			m.own = append(m.own, t)
		} else {
			m.others = append(m.others, t)
		}
	}
	return m
}

// resumeOffset is the offset from which a job of so many bytes continues.
func (m *checkpoints) resumeOffset(size uint64) int64 { return int64(min(m.at, size)) }

// begin marks the logical volume before the first byte is written: a later plan then
// knows that its content may be incomplete.
func (m *checkpoints) begin(ctx context.Context) error { return m.checkpoint(ctx, m.at) }

// checkpoint records that so many bytes from the start have reached the device. The
// first call sets the checkpoints of other contents to 0: those contents are being
// overwritten, and have to be copied from the start if they are needed again.
func (m *checkpoints) checkpoint(ctx context.Context, bytes uint64) error {
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

// all are the checkpoints to remove when the job is done.
func (m *checkpoints) all() []string { return slices.Concat(m.own, m.others) }

// checkpointer returns a checkpoint as the engine calls it.
func (m *checkpoints) checkpointer(ctx context.Context) func(int64) error {
	return func(bytes int64) error { return m.checkpoint(ctx, uint64(bytes)) }
}

// progressReporter returns a function that passes the engine's progress on.
func progressReporter(ctx context.Context) func(blockcopy.Progress) {
	return func(p blockcopy.Progress) {
		change.ReportProgress(ctx, change.Progress{
			Done: uint64(p.Done), Total: uint64(p.Total), Rate: uint64(p.Rate), Left: max(p.Left, 0),
		})
	}
}
