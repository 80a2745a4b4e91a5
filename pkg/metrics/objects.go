package metrics

import (
	"cmp"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// collectCounts emits how many objects there are of each kind in each state.
func collectCounts(all []status.Object, emit emit) {
	type state struct {
		kind   spec.Kind
		phase  status.Phase
		reason string
	}
	counts, blocked := map[state]int{}, 0
	for i := range all {
		o := &all[i]
		counts[state{o.Kind, o.Phase, o.Reason}]++
		if o.Phase == status.Blocked && (o.Reason == status.ReasonTooManyDeletions || o.Reason == status.ReasonIncompleteInput) {
			blocked++
		}
	}
	states := slices.SortedFunc(maps.Keys(counts), func(a, b state) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.phase, b.phase), cmp.Compare(a.reason, b.reason))
	})
	for _, s := range states {
		emit(objects, float64(counts[s]), labels{pair("kind", string(s.kind)), pair("phase", string(s.phase)), pair("reason", s.reason)})
	}
	emit(deletions, float64(blocked), nil)
	emit(scheduledBlocked, float64(blockedRuns(all)), nil)
}

// collectObjects emits the series of each object.
func collectObjects(all []status.Object, devices map[device]deviceStat, emit emit) {
	trash, kinds := trashOf(all), map[spec.Kind]*dto.LabelPair{}
	for i := range all {
		o := &all[i]
		if i > 0 && all[i-1].ID() == o.ID() {
			continue // two series of the same labels would spoil all others
		}
		kind := kinds[o.Kind]
		if kind == nil {
			kind = pair("kind", string(o.Kind))
			kinds[o.Kind] = kind
		}
		of := labels{kind, pair("name", o.Name)}
		if isScheduled(o) {
			collectScheduled(o, of, emit)
			continue
		}
		if ready, declared := isReady(o.Phase); declared {
			emit(objectReady, ready, of)
		}
		collectJob(o.Progress, of, emit)
		switch {
		case o.Pool != nil:
			collectPool(o.Name, o.Pool, trash[o.Name], emit)
		case o.Volume != nil:
			collectVolume(o.Volume, of, devices, emit)
		case o.Snapshot != nil:
			collectVolume(o.Snapshot, of, devices, emit)
		case o.Export != nil:
			n := max(len(o.Export.Sessions), len(o.Export.Connections))
			emit(sessions, float64(n), labels{pair("export", o.Name), pair("protocol", string(o.Export.Protocol))})
		case o.Schedule != nil:
			collectSchedule(o.Name, o.Schedule, emit)
		case o.Repository != nil:
			collectRepository(o, emit)
		}
	}
}

func collectJob(p *status.Progress, of labels, emit emit) {
	if p == nil {
		return
	}
	emit(jobDone, float64(p.Done), of)
	if p.Total > 0 {
		emit(jobTotal, float64(p.Total), of)
	}
}

// isReady returns 1 or 0, and whether an object is compared with what is declared.
func isReady(p status.Phase) (value float64, declared bool) {
	switch p {
	case status.Ready:
		return 1, true
	case status.Progressing, status.Blocked, status.Failed:
		return 0, true
	case status.Deleting, status.Orphaned, status.Foreign, status.Suspended:
	}
	return 0, false
}

func collectPool(name string, p *status.Pool, trash uint64, emit emit) {
	of := labels{pair("pool", name)}
	send := func(d *prometheus.Desc, value uint64) { emit(d, float64(value), of) }
	send(poolSize, p.Size)
	send(lvmMetaFree, p.LVMMetadataFree)
	send(poolTrash, trash)
	if !p.UsageUnknown {
		send(poolFree, p.Free)
		send(poolAllocated, p.Allocated)
	}
	if p.ThinPool == "" {
		return
	}
	send(poolProvisioned, p.Provisioned)
	send(thinDataSize, p.Size)
	send(thinMetaSize, p.MetadataSize)
	send(thinChunk, p.ChunkSize)
	if !p.UsageUnknown {
		send(thinDataUsed, p.Allocated)
		send(thinMetaUsed, metadataUsed(p))
	}
}

// metadataUsed is how much of a thin pool's metadata is used.
func metadataUsed(p *status.Pool) uint64 {
	return uint64(float64(p.MetadataSize) * p.MetadataPercent / 100)
}

func collectVolume(v *status.Volume, of labels, devices map[device]deviceStat, emit emit) {
	emit(volumeSize, float64(v.Size), of)
	if v.Active || v.Allocated > 0 {
		emit(volumeAllocated, float64(v.Allocated), of)
	}
	collectCOW(v, of, emit)
	if stat, found := devices[deviceOf(v.Device)]; found {
		for i, d := range ioMetrics {
			emit(d, stat[i], of)
		}
	}
}

func collectCOW(v *status.Volume, of labels, emit emit) {
	if v.COWSize > 0 && v.Active {
		emit(cowUsed, v.DataPercent/100, of)
	}
}

// trashOf returns how much space the objects in the trash take, at most, by Pool.
//
// LVM does not know how much an inactive thin volume takes, and in the trash they are. Together they take
// no more than their sizes, and no more than what is in their thin pool and not in active volumes.
func trashOf(all []status.Object) map[string]uint64 {
	type space struct{ known, unknown, active uint64 }
	spaces := map[string]*space{}
	for i := range all {
		o := &all[i]
		v := o.Volume
		if v == nil {
			v = o.Snapshot
		}
		if v == nil || v.Pool == "" {
			continue
		}
		s := spaces[v.Pool]
		if s == nil {
			s = &space{}
			spaces[v.Pool] = s
		}
		switch inTrash := o.Reason == status.ReasonInTrash; {
		case v.Active && !inTrash:
			s.active += v.Allocated
		case inTrash && v.Allocated > 0:
			s.known += v.Allocated
		case inTrash:
			s.unknown += v.Size
		}
	}
	trash := map[string]uint64{}
	for i := range all {
		p, s := all[i].Pool, spaces[all[i].Name]
		if p == nil || s == nil {
			continue
		}
		unknown := s.unknown
		if p.ThinPool != "" && !p.UsageUnknown {
			unknown = min(unknown, p.Allocated-min(p.Allocated, s.active))
		}
		trash[all[i].Name] = s.known + unknown
	}
	return trash
}
