package soak

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func (t *thing) tags() []string {
	return append(ondisk.OwnerTags(spec.ID{Kind: t.kind(), Name: t.name}), ondisk.DeletionTag(t.lv.policy))
}

func removeTags(ctx context.Context, h *History) (string, error) {
	t := h.pick((*thing).usable)
	if t == nil {
		return "", nil
	}
	argv := []string{"lvchange"}
	all := h.chance(30)
	for i, tag := range t.tags() {
		if all || i == h.rand.IntN(3) {
			argv = append(argv, "--deltag", tag)
		}
	}
	if len(argv) == 1 {
		return "", nil
	}
	argv = append(argv, vg+"/"+t.name)
	return strings.Join(argv, " "), h.lvm(ctx, argv...)
}

func addTags(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool { return t.lv != nil && t.lv.name == t.name })
	if t == nil {
		return "", nil
	}
	tag := "theirs"
	switch {
	case t.usable() && h.chance(40):
		tag = ondisk.TagDeleted + "20010101T000000Z"
	case t.usable() && h.chance(40):
		tag = ondisk.TagDeletion + "never"
	case !slices.Contains(t.lv.extra, tag):
		t.lv.extra = append(t.lv.extra, tag)
	}
	argv := []string{"lvchange", "--addtag", tag, vg + "/" + t.name}
	return strings.Join(argv, " "), h.lvm(ctx, argv...)
}

func deactivate(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool {
		return t.usable() && t.of == "" && t.lv.held == "" && !h.model.isExported(t) && (t.thin || len(h.model.snapshotsOf(t)) == 0)
	})
	if t == nil {
		return "", nil
	}
	return t.name + " is deactivated", h.lvm(ctx, "lvchange", "-an", vg+"/"+t.name)
}

// removeLV removes one of our logical volumes, and what LVM removes with it.
func removeLV(ctx context.Context, h *History) (string, error) {
	m := h.model
	if m.full || !h.chance(50) {
		return "", nil
	}
	t := h.pick(func(t *thing) bool {
		with := []*thing{t}
		if !t.thin && t.of == "" {
			with = append(with, m.snapshotsOf(t)...)
		}
		return t.lv != nil && t.lv.uuid != "" && t.lv.held == "" && !slices.ContainsFunc(with, m.isExported)
	})
	if t == nil {
		return "", nil
	}
	if !t.thin && t.of == "" {
		for _, s := range m.snapshotsOf(t) {
			s.lv = nil
		}
	}
	t.lv = nil
	return "lvremove " + t.name, h.lvm(ctx, "lvremove", "-y", vg+"/"+t.name)
}

// disown makes an orphan somebody else's.
func disown(ctx context.Context, h *History) (string, error) {
	m := h.model
	t := h.pick(func(t *thing) bool {
		return !t.named && t.of == "" && t.lv != nil && t.lv.policy == spec.Retain && m.isComplete() && t.lv.held == "" && len(m.snapshotsOf(t)) == 0
	})
	if t == nil {
		return "", nil
	}
	argv := []string{"lvchange"}
	n, err := h.Node.Look(ctx)
	if err != nil {
		return "", err
	}
	for _, lv := range logicalVolumes(n) {
		for _, tag := range lv.Tags {
			if lv.Name == t.name && strings.HasPrefix(tag, ondisk.TagPrefix) {
				argv = append(argv, "--deltag", tag)
			}
		}
	}
	argv = append(argv, vg+"/"+t.name)
	m.foreign[t.name] = &foreign{thin: t.thin, size: t.lv.size, content: t.lv.content, tags: t.lv.extra}
	t.lv = nil
	return strings.Join(argv, " "), h.lvm(ctx, argv...)
}

// rename renames one of our logical volumes, or gives it back its name.
func rename(ctx context.Context, h *History) (string, error) {
	for _, t := range h.model.volumes() {
		if t.lv != nil && t.lv.name != t.name && !h.touched[t.name] && h.chance(60) {
			h.touched[t.name] = true
			from := t.lv.name
			t.lv.name = t.name
			return t.name + " is renamed back", h.lvm(ctx, "lvrename", vg, from, t.name)
		}
	}
	t := h.pick(func(t *thing) bool { return t.usable() && t.of == "" && t.lv.size <= t.size && t.lv.held != mountPoint })
	if t == nil || h.chance(50) {
		return "", nil
	}
	t.lv.name = "moved-" + t.name
	return t.name + " becomes " + t.lv.name, h.lvm(ctx, "lvrename", vg, t.name, t.lv.name)
}

// foreignLV makes a logical volume that is not ours, with a name near ours or in
// the way.
func foreignLV(ctx context.Context, h *History) (string, error) {
	m := h.model
	if m.full || len(m.foreign) > 5 {
		return "", nil
	}
	t := h.pick(func(t *thing) bool { return !t.named && t.lv == nil })
	if t == nil {
		return "", nil
	}
	name := t.name
	if h.chance(60) {
		h.serial++
		name = fmt.Sprintf("%s.%d", name, h.serial)
	}
	if m.foreign[name] != nil {
		return "", nil
	}
	f := &foreign{thin: t.thin, size: uint64(1+h.rand.IntN(8)) * extent, content: h.content()}
	argv := []string{"lvcreate", "-y", "-n", name, "-L", fmt.Sprintf("%db", f.size), vg}
	if f.thin {
		argv = []string{"lvcreate", "-y", "-n", name, "-V", fmt.Sprintf("%db", f.size), "-T", vg + "/" + pool0}
	}
	if h.chance(30) {
		f.tags = []string{"theirs"}
		argv = append(argv, "--addtag", "theirs")
	}
	if h.chance(20) && name != t.name { // a tag that only looks like one of ours
		f.tags = append(f.tags, "volreconciler-kind=volume")
		argv = append(argv, "--addtag", "volreconciler-kind=volume")
	}
	m.foreign[name] = f
	if err := h.lvm(ctx, argv...); err != nil {
		return strings.Join(argv, " "), err
	}
	return strings.Join(argv, " "), h.Node.Write(ctx, vg+"/"+name, f.content)
}

func removeForeignLV(ctx context.Context, h *History) (string, error) {
	m := h.model
	if len(m.foreign) == 0 || m.full {
		return "", nil
	}
	name := sorted(m.foreign)[h.rand.IntN(len(m.foreign))]
	if m.foreign[name].held {
		return "", nil
	}
	if t := m.things[name]; t != nil {
		if !h.free(t) || t.adopt || !h.claimExports(t) {
			return "", nil
		}
		h.touched[t.family()] = true
	}
	delete(m.foreign, name)
	return "lvremove " + name + ", which is not ours", h.lvm(ctx, "lvremove", "-y", vg+"/"+name)
}

// What decides about everything else.

func fill(ctx context.Context, h *History) (string, error) {
	m := h.model
	if m.full || m.broken != nil {
		return "", nil
	}
	m.full = true
	m.foreign["filler"] = &foreign{content: "", held: true, pinned: true}
	return "the volume group is full", h.lvm(ctx, "lvcreate", "-y", "-n", "filler", "-l", "100%FREE", vg)
}

func unfill(ctx context.Context, h *History) (string, error) {
	m := h.model
	if !m.full {
		return "", nil
	}
	m.full = false
	delete(m.foreign, "filler")
	if h.Node.RealTime() { // what fails is tried again at once by another agent
		if err := h.Node.Kill(ctx, 0); err != nil {
			return "", err
		}
	}
	return "the volume group has room again", h.lvm(ctx, "lvremove", "-y", vg+"/filler")
}
