package backup

import (
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// Whatever happened to a volume between backups, each one is restored byte by byte.
func TestRandomHistories(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "history-")
		if err != nil {
			rt.Fatal(err)
		}
		h := history{T: rt, g: NewWithT(rt), mapped: map[int64]bool{}, dir: dir}
		h.run(t)
	})
}

const (
	thinChunk = 4 * kib
	testSlice = 8 * kib
)

// history is a thin volume with its administrator.
type history struct {
	*rapid.T
	g       *WithT
	dir     string
	v       *volume
	mapped  map[int64]bool
	changed map[int64]bool
	backups []kept
}

type kept struct {
	id   string
	data []byte
}

func (h *history) run(t *testing.T) {
	h.v = emptyVolume(h.dir)
	h.v.job.slice = testSlice
	h.g.Expect(h.v.job.Repository.Init(t.Context())).To(Succeed())
	h.changed = map[int64]bool{}
	h.v.data = make([]byte, rapid.SampledFrom([]int{1, 100 * kib, 70001, 8 * kib, 33000, 200 * kib}).Draw(h.T, "size"))
	for range rapid.IntRange(1, 6).Draw(h.T, "backups") {
		for range rapid.IntRange(0, 5).Draw(h.T, "steps") {
			h.step()
		}
		h.hazard(t)
		h.v.job.Mapped, h.v.job.Changed = extents(h.mapped), extents(h.changed)
		_, err := h.v.backup(t.Context())
		h.g.Expect(err).NotTo(HaveOccurred())
		h.changed = map[int64]bool{}
		h.backups = append(h.backups, kept{h.v.job.Parent, append([]byte(nil), h.v.data...)})
	}
	for _, b := range h.backups {
		path := h.v.job.Device + ".restored"
		more := rapid.IntRange(0, 5000).Draw(h.T, "more")
		zero := rapid.Bool().Draw(h.T, "zero")
		content := make([]byte, len(b.data)+more)
		if !zero {
			for i := range content {
				content[i] = 0xa5
			}
		}
		h.g.Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		r := h.v.restore(path)
		r.Snapshot, r.TargetIsZero = b.id, zero
		_, err := r.Run(t.Context())
		if h.gone(t, b.id) {
			h.g.Expect(err).To(HaveOccurred())
			continue
		}
		h.g.Expect(err).NotTo(HaveOccurred())
		got, err := os.ReadFile(path)
		h.g.Expect(err).NotTo(HaveOccurred())
		h.g.Expect(got).To(Equal(append(append([]byte(nil), b.data...), make([]byte, more)...)))
	}
}

// step is what an initiator or an administrator does.
func (h *history) step() {
	size := int64(len(h.v.data))
	switch rapid.SampledFrom([]string{"write", "write", "discard", "zero", "grow", "shrink"}).Draw(h.T, "step") {
	case "write":
		h.each(func(chunk, from, to int64) {
			_, _ = h.v.random.Read(h.v.data[from:to])
			h.mapped[chunk] = true
		})
	case "zero":
		h.each(func(chunk, from, to int64) {
			clear(h.v.data[from:to])
			h.mapped[chunk] = true
		})
	case "discard":
		h.each(func(chunk, from, to int64) {
			clear(h.v.data[from:to])
			delete(h.mapped, chunk)
		})
	case "grow":
		h.v.data = append(h.v.data, make([]byte, rapid.Int64Range(1, 50*kib).Draw(h.T, "by"))...)
	case "shrink":
		h.v.data = h.v.data[:rapid.Int64Range(1, size).Draw(h.T, "to")]
		for chunk := range h.mapped {
			if chunk*thinChunk >= int64(len(h.v.data)) {
				delete(h.mapped, chunk)
				h.changed[chunk] = true
			}
		}
	}
}

// each visits the chunks of a random range, which have changed.
func (h *history) each(do func(chunk, from, to int64)) {
	size := int64(len(h.v.data))
	last := (size - 1) / thinChunk
	// Small numbers are drawn more often than others; places are to be anywhere.
	first := int64(rapid.Uint32().Draw(h.T, "chunk")*2654435761) % (last + 1)
	for chunk := first; chunk <= min(last, first+rapid.Int64Range(0, 12).Draw(h.T, "chunks")); chunk++ {
		do(chunk, chunk*thinChunk, min((chunk+1)*thinChunk, size))
		h.changed[chunk] = true
	}
}

// hazard is what backups have to live with.
func (h *history) hazard(t *testing.T) {
	h.v.job.Reread = false
	switch rapid.SampledFrom([]string{"", "", "", "gone", "unknown", "thick", "reread", "back"}).Draw(h.T, "hazard") {
	case "gone":
		if h.v.job.Parent != "" {
			h.g.Expect(h.v.job.Repository.Forget(t.Context(), h.v.job.Parent)).To(Succeed())
		}
	case "unknown":
		h.v.job.ChangedKnown = false
	case "thick":
		for chunk := range (int64(len(h.v.data)) + thinChunk - 1) / thinChunk {
			if !h.mapped[chunk] {
				h.mapped[chunk], h.changed[chunk] = true, true
			}
		}
	case "reread":
		h.v.job.Reread = true
	case "back":
		h.v.job.Time = h.v.job.Time.Add(-100 * time.Hour)
	}
}

func (h *history) gone(t *testing.T, id string) bool {
	all, err := List(t.Context(), h.v.job.Repository, "db")
	h.g.Expect(err).NotTo(HaveOccurred())
	for _, b := range all {
		if b.ID[:8] == id {
			return false
		}
	}
	return true
}

func extents(chunks map[int64]bool) []blockcopy.Extent {
	all := []blockcopy.Extent{}
	for chunk := range chunks {
		all = append(all, blockcopy.Extent{Offset: chunk * thinChunk, Length: thinChunk})
	}
	return all
}
