package soak

import (
	"context"
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// action is something that may happen: to the node and to the model. It returns
// what it was, or nothing if it cannot happen now.
//
// In one round only one thing happens to each Volume with its Snapshots and to
// each Export, because in between the agent may have looked or not.
type action func(context.Context, *History) (string, error)

var (
	// edits are those of the files.
	edits = []action{declare, declare, declare, undeclare, grow, policy, addExport, addExport, removeExport, addLUN, addLUN, removeLUN, renumber, initiators, portal, password, password, recreate, recreate, adopt, adopt}
	// byHand is what the administrator does to the node.
	byHand = []action{write, write, write, removeTags, addTags, deactivate, removeLV, disown, rename, damage, damage, damage, damage,
		extend, extendPool, protect, unprotect, unprotect, clone, unclone, unclone, mount, unmount, unmount, cache, uncache, uncache, unlink, link, link, reserve, unreserve, unreserve,
		foreignLV, foreignLV, removeForeignLV, foreignLIO, removeForeignLIO, hold, letGo, letGo}
	// first is what comes before all else in a round, because it decides what
	// comes of the rest.
	first = []action{mistakes, fill}
	// alone is what has a round for itself.
	alone = []action{mend, mend, mend, mend, unfill, unfill, unfill, emptyTrash, day, reboot, hide, clearConfig, undo}
)

// free reports whether nothing happened yet in this round to a Volume's family,
// and nothing is wrong with its files.
func (h *History) free(t *thing) bool {
	b := h.model.broken
	volume := h.model.things[t.family()]
	if h.touched[volume.name] || volume.lv != nil && volume.lv.name != volume.name || volume.lv.isSpecial() || h.model.reserved(volume.name) {
		return false
	}
	return b == nil || b.file != "" && !slices.ContainsFunc(h.model.familyOf(t), func(o *thing) bool { return o.file() == b.file })
}

func (m *Model) familyOf(t *thing) []*thing {
	return m.of(func(o *thing) bool { return o.family() == t.family() })
}

func (h *History) freeExport(e *export) bool {
	b := h.model.broken
	if h.touched[e.name] || e.key != "" || b != nil && (b.file == "" || b.file == e.file()) {
		return false
	}
	for name := range e.luns {
		if b != nil && slices.ContainsFunc(h.model.familyOf(h.model.things[name]), func(o *thing) bool { return o.file() == b.file }) {
			return false
		}
	}
	return true
}

// pick returns one of the things of which something is true, and marks it as
// touched; nil if there is none.
func (h *History) pick(is func(*thing) bool) *thing {
	things := h.model.of(func(t *thing) bool { return is(t) && h.free(t) })
	if len(things) == 0 {
		return nil
	}
	t := things[h.rand.IntN(len(things))]
	h.touched[t.family()] = true
	return t
}

func (h *History) pickExport(is func(*export) bool) *export {
	var exports []*export
	for _, name := range sorted(h.model.exports) {
		if e := h.model.exports[name]; is(e) && h.freeExport(e) {
			exports = append(exports, e)
		}
	}
	if len(exports) == 0 {
		return nil
	}
	e := exports[h.rand.IntN(len(exports))]
	h.touched[e.name] = true
	return e
}

func (h *History) somePolicy() spec.DeletionPolicy {
	if h.chance(60) {
		return spec.Delete
	}
	return spec.Retain
}

func (h *History) put(ctx context.Context, t *thing) error {
	return h.Node.Put(ctx, t.file(), t.text())
}

func (h *History) putExport(ctx context.Context, e *export) error {
	return h.Node.Put(ctx, e.file(), e.text(h.model))
}

func (h *History) lvm(ctx context.Context, argv ...string) error {
	_, err := h.Node.Run(ctx, argv...)
	return err
}

// declare declares an object that was undeclared.
func declare(ctx context.Context, h *History) (string, error) {
	m := h.model
	t := h.pick(func(t *thing) bool {
		if t.named {
			return false
		}
		v := m.things[t.of]
		if t.of == "" && t.lv == nil && len(m.snapshotsOf(t)) > 0 {
			return false // they would be no snapshots of the new one
		}
		return t.of == "" || v.named && (t.thin || t.lv != nil || v.lv == nil || v.lv.size >= v.size)
	})
	if t == nil {
		return "", nil
	}
	t.named, t.policy = true, h.somePolicy()
	if t.lv == nil {
		t.size = uint64(4+h.rand.IntN(12)) * extent
	}
	return fmt.Sprintf("%s is named (%s)", t.id(), t.policy), h.put(ctx, t)
}

// undeclare removes an object from the files, with all objects that refer to it.
func undeclare(ctx context.Context, h *History) (string, error) {
	m := h.model
	t := h.pick(func(t *thing) bool { return t.named })
	if t == nil {
		return "", nil
	}
	gone := []*thing{t}
	if t.of == "" {
		gone = append(gone, m.of(func(s *thing) bool { return s.of == t.name && s.named })...)
	}
	without := map[*export][]string{}
	doomed := m.doomed()
	for _, g := range gone {
		if g.policy == spec.Delete {
			doomed++
		}
		for _, e := range m.exports {
			if _, has := e.luns[g.name]; has && e.named {
				if !h.freeExport(e) {
					return "", nil
				}
				without[e] = append(without[e], g.name)
			}
		}
	}
	if doomed+len(without) > maxDoomed {
		return "", nil
	}
	what := t.id() + " is no longer named"
	for _, name := range sorted(m.exports) {
		e := m.exports[name]
		if len(without[e]) == 0 {
			continue
		}
		h.touched[e.name] = true
		for _, name := range without[e] {
			delete(e.luns, name)
		}
		what += ", nor by Export/" + e.name
		if err := h.putOrRemove(ctx, e); err != nil {
			return what, err
		}
	}
	for _, g := range slices.Backward(gone) {
		g.named, g.recreate, g.adopt = false, "", false
		if err := h.Node.Put(ctx, g.file(), ""); err != nil {
			return what, err
		}
	}
	return what, nil
}

// putOrRemove writes an Export, or removes it if it has no LUNs any more.
func (h *History) putOrRemove(ctx context.Context, e *export) error {
	if len(e.luns) == 0 {
		e.named = false
		return h.Node.Put(ctx, e.file(), "")
	}
	return h.putExport(ctx, e)
}

func grow(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool {
		waits := slices.ContainsFunc(h.model.familyOf(t), func(s *thing) bool { return s.named && s.lv == nil })
		return t.named && t.of == "" && t.size < 64*extent && !waits
	})
	if t == nil {
		return "", nil
	}
	t.size += uint64(1+h.rand.IntN(4)) * extent
	return fmt.Sprintf("%s is to have %s", t.id(), spec.Size(t.size)), h.put(ctx, t)
}

func policy(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool { return t.named })
	if t == nil {
		return "", nil
	}
	t.policy = h.somePolicy()
	return fmt.Sprintf("%s has the policy %s", t.id(), t.policy), h.put(ctx, t)
}

func recreate(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool {
		// A snapshot of the earlier logical volume would be no snapshot of the new one.
		return t.named && t.lv == nil && t.known != "" && t.recreate != t.known && len(h.model.snapshotsOf(t)) == 0
	})
	if t == nil || !h.claimExports(t) || t.of != "" && !t.thin && h.model.things[t.of].lv != nil && h.model.things[t.of].lv.size < h.model.things[t.of].size {
		return "", nil
	}
	t.recreate = t.known
	return t.id() + " is abandoned and created again", h.put(ctx, t)
}

// claimExports claims the Exports that name a thing which may now get its logical
// volume. It reports false if something happened to one already.
func (h *History) claimExports(t *thing) bool {
	for _, e := range h.model.exports {
		if _, has := e.luns[t.name]; has && e.named && !h.freeExport(e) {
			return false
		}
	}
	for _, e := range h.model.exports {
		if _, has := e.luns[t.name]; has && e.named {
			h.touched[e.name] = true
		}
	}
	return true
}

func adopt(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool {
		f := h.model.foreign[t.name]
		return t.named && t.of == "" && t.lv == nil && !t.adopt && f != nil && f.thin == t.thin && !f.held && (f.size >= t.size || f.thin || !h.model.full)
	})
	if t == nil || !h.claimExports(t) {
		return "", nil
	}
	t.adopt, t.size = true, max(t.size, h.model.foreign[t.name].size)
	return t.id() + " adopts the logical volume of its name", h.put(ctx, t)
}

func (h *History) content() string {
	h.serial++
	return fmt.Sprintf("data %d of seed %d", h.serial, h.Seed)
}

func write(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool { return t.usable() && t.of == "" && t.lv.held != mountPoint })
	if t == nil {
		return "", nil
	}
	t.lv.content = h.content()
	return fmt.Sprintf("%q is written to %s", t.lv.content, t.name), h.Node.Write(ctx, vg+"/"+t.name, t.lv.content)
}
