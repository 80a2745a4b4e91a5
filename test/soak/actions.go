package soak

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
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
	edits = []action{name, name, name, unname, grow, policy, addExport, addExport, removeExport, addLUN, addLUN, removeLUN, renumber, initiators, portal, password, password, recreate, recreate, adopt, adopt}
	// byHand is what the administrator does to the node.
	byHand = []action{write, write, write, removeTags, addTags, deactivate, removeLV, disown, rename, damage, damage, damage, damage, foreignLV, foreignLV, removeForeignLV, foreignLIO, removeForeignLIO, hold, letGo, letGo}
	// first is what comes before all else in a round, because it decides what
	// comes of the rest.
	first = []action{mistakes, fill}
	// alone is what has a round for itself.
	alone = []action{mend, mend, mend, mend, unfill, unfill, unfill, emptyTrash, day, reboot, hide}
)

// free reports whether nothing happened yet in this round to a Volume's family,
// and nothing is wrong with its files.
func (h *History) free(t *thing) bool {
	b := h.model.broken
	volume := h.model.things[t.family()]
	if h.touched[volume.name] || volume.lv != nil && volume.lv.name != volume.name {
		return false
	}
	return b == nil || b.file != "" && !slices.ContainsFunc(h.model.familyOf(t), func(o *thing) bool { return o.file() == b.file })
}

func (m *Model) familyOf(t *thing) []*thing {
	return m.of(func(o *thing) bool { return o.family() == t.family() })
}

func (h *History) freeExport(e *export) bool {
	b := h.model.broken
	if h.touched[e.name] || b != nil && (b.file == "" || b.file == e.file()) {
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

// name adds an object, or puts it back.
func name(ctx context.Context, h *History) (string, error) {
	m := h.model
	t := h.pick(func(t *thing) bool {
		if t.named {
			return false
		}
		v := m.things[t.of]
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

// unname takes an object out of the files, with all that needs it.
func unname(ctx context.Context, h *History) (string, error) {
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
		return t.named && t.lv == nil && t.known != "" && t.recreate != t.known
	})
	if t == nil || !h.appears(t) || t.of != "" && !t.thin && h.model.things[t.of].lv != nil && h.model.things[t.of].lv.size < h.model.things[t.of].size {
		return "", nil
	}
	t.recreate = t.known
	return t.id() + " is given up and made anew", h.put(ctx, t)
}

// appears claims the Exports that name a thing which may now get its logical
// volume. It reports false if something happened to one already.
func (h *History) appears(t *thing) bool {
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
		return t.named && t.of == "" && t.lv == nil && !t.adopt && f != nil && f.thin == t.thin && !f.held
	})
	if t == nil || !h.appears(t) {
		return "", nil
	}
	t.adopt, t.size = true, max(t.size, h.model.foreign[t.name].size)
	return t.id() + " takes over what has its name", h.put(ctx, t)
}

// number returns a LUN number that an Export does not use.
func (h *History) number(e *export) int {
	for {
		n := h.rand.IntN(40)
		used := false
		for _, l := range e.luns {
			used = used || l.number == n
		}
		if e.have != nil {
			for _, l := range e.have.luns {
				used = used || l.number == n
			}
		}
		if !used {
			return n
		}
	}
}

// offer adds a LUN to an Export.
func (h *History) offer(e *export) bool {
	t := h.pick(func(t *thing) bool { _, has := e.luns[t.name]; return t.named && !has })
	if t == nil {
		return false
	}
	l := lun{number: h.number(e), readOnly: h.chance(30)}
	if e.have != nil {
		if old, there := e.have.luns[t.name]; there {
			l.number = old.number
		}
	}
	e.luns[t.name] = l
	return true
}

func addExport(ctx context.Context, h *History) (string, error) {
	e := h.pickExport(func(e *export) bool { return !e.named && e.have == nil })
	if e == nil {
		return "", nil
	}
	e.luns, e.hostB, e.portal = map[string]lun{}, h.chance(30), "0.0.0.0:3260"
	for range 1 + h.rand.IntN(3) {
		h.offer(e)
	}
	if len(e.luns) == 0 {
		return "", nil
	}
	e.named = true
	if h.chance(50) {
		if err := h.newPassword(ctx, e); err != nil {
			return "a password", err
		}
	} else {
		e.password = ""
	}
	return fmt.Sprintf("Export/%s has %v", e.name, sorted(e.luns)), h.putExport(ctx, e)
}

func removeExport(ctx context.Context, h *History) (string, error) {
	if h.model.doomed() >= maxDoomed {
		return "", nil
	}
	e := h.pickExport(func(e *export) bool { return e.named })
	if e == nil {
		return "", nil
	}
	e.named = false
	return "Export/" + e.name + " is no longer named", h.Node.Put(ctx, e.file(), "")
}

func addLUN(ctx context.Context, h *History) (string, error) {
	e := h.pickExport(func(e *export) bool { return e.named })
	if e == nil || !h.offer(e) {
		return "", nil
	}
	return fmt.Sprintf("Export/%s has %v", e.name, sorted(e.luns)), h.putExport(ctx, e)
}

func removeLUN(ctx context.Context, h *History) (string, error) {
	e := h.pickExport(func(e *export) bool { return e.named && len(e.luns) > 1 })
	if e == nil {
		return "", nil
	}
	name := sorted(e.luns)[h.rand.IntN(len(e.luns))]
	delete(e.luns, name)
	return fmt.Sprintf("Export/%s without %s", e.name, name), h.putExport(ctx, e)
}

func renumber(ctx context.Context, h *History) (string, error) {
	e := h.pickExport(func(e *export) bool { return e.named && h.model.complete() })
	if e == nil {
		return "", nil
	}
	name := sorted(e.luns)[h.rand.IntN(len(e.luns))]
	l := lun{number: h.number(e), readOnly: h.chance(30)}
	// Sometimes two change places.
	if other := sorted(e.luns)[h.rand.IntN(len(e.luns))]; other != name && h.chance(30) {
		l.number = e.luns[other].number
		e.luns[other] = lun{number: e.luns[name].number, readOnly: e.luns[other].readOnly}
	}
	e.luns[name] = l
	return fmt.Sprintf("Export/%s has %s as LUN %d", e.name, name, l.number), h.putExport(ctx, e)
}

func initiators(ctx context.Context, h *History) (string, error) {
	e := h.pickExport(func(e *export) bool {
		return e.named && (h.model.complete() || !e.hostB && (e.have == nil || e.asked()))
	})
	if e == nil {
		return "", nil
	}
	e.hostB = !e.hostB
	return fmt.Sprintf("Export/%s admits %s: %t", e.name, hostB, e.hostB), h.putExport(ctx, e)
}

func portal(ctx context.Context, h *History) (string, error) {
	e := h.pickExport(func(e *export) bool { return e.named && h.model.complete() })
	if e == nil {
		return "", nil
	}
	e.portal = []string{"0.0.0.0:3260", "127.0.0.1:330" + e.name[1:], "[::1]:331" + e.name[1:]}[h.rand.IntN(3)]
	return fmt.Sprintf("Export/%s has the portal %s", e.name, e.portal), h.putExport(ctx, e)
}

func (h *History) newPassword(ctx context.Context, e *export) error {
	h.serial++
	e.password = fmt.Sprintf("the-password-%d", h.serial)
	return h.Node.Secret(ctx, e.name, e.password)
}

// password asks for a password, for another one, or for none.
func password(ctx context.Context, h *History) (string, error) {
	e := h.pickExport(func(e *export) bool { return e.named })
	if e == nil {
		return "", nil
	}
	if e.password != "" && h.chance(30) {
		e.password = ""
		return fmt.Sprintf("Export/%s asks for no password", e.name), h.putExport(ctx, e)
	}
	had := e.password != ""
	if err := h.newPassword(ctx, e); err != nil || had {
		return fmt.Sprintf("Export/%s has another password", e.name), err
	}
	return fmt.Sprintf("Export/%s asks for a password", e.name), h.putExport(ctx, e)
}

// By hand, in LVM.

func (h *History) content() string {
	h.serial++
	return fmt.Sprintf("data %d of seed %d", h.serial, h.Seed)
}

func write(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool { return t.usable() && t.of == "" })
	if t == nil {
		return "", nil
	}
	t.lv.content = h.content()
	return fmt.Sprintf("%q is written to %s", t.lv.content, t.name), h.Node.Write(ctx, vg+"/"+t.name, t.lv.content)
}

func (t *thing) tags() []string {
	return append(observe.OwnerTags(spec.ID{Kind: t.kind(), Name: t.name}), observe.DeletionTag(t.lv.policy))
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
		tag = observe.TagDeleted + "20010101T000000Z"
	case t.usable() && h.chance(40):
		tag = observe.TagDeletion + "never"
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
		return !t.named && t.of == "" && t.lv != nil && t.lv.policy == spec.Retain && m.complete() && t.lv.held == "" && len(m.snapshotsOf(t)) == 0
	})
	if t == nil {
		return "", nil
	}
	argv := []string{"lvchange"}
	for _, tag := range t.tags() {
		argv = append(argv, "--deltag", tag)
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
			return t.name + " gets its name back", h.lvm(ctx, "lvrename", vg, from, t.name)
		}
	}
	t := h.pick(func(t *thing) bool { return t.usable() && t.of == "" })
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
		if !h.free(t) || t.adopt || !h.appears(t) {
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
	m.foreign["filler"] = &foreign{content: "", held: true}
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

// mistakes breaks a file.
func mistakes(ctx context.Context, h *History) (string, error) {
	m := h.model
	if m.broken != nil || m.full {
		return "", nil
	}
	object, file, text := "Volume/stray", "stray.yaml", ""
	if t := h.pick(func(t *thing) bool { return t.named }); t != nil && h.chance(70) {
		object, file, text = t.id(), t.file(), t.text()
	} else if e := h.pickExport(func(e *export) bool { return e.named }); e != nil && h.chance(60) {
		object, file, text = "Export/"+e.name, e.file(), e.text(m)
	}
	if text == "" {
		text = document("Volume", "name: stray", "pool: slow, size: 16Mi, sise: 1")
		m.broken = &mistake{what: "a new file with a mistake", object: object, file: file, life: h.Node.Lives(),
			mend: func(ctx context.Context) error { return h.Node.Put(ctx, file, "") }}
		return m.broken.what, h.Node.Put(ctx, file, text)
	}
	m.broken = &mistake{object: object, file: file, life: h.Node.Lives(),
		mend: func(ctx context.Context) error { return h.Node.Put(ctx, file, text) }}
	broken := ""
	switch h.rand.IntN(4) {
	case 0:
		m.broken.what, broken = "an unknown field", strings.Replace(text, "spec: {", "spec: {sise: 1, ", 1)
	case 1:
		m.broken.what, broken = "what is no YAML", text+"}}: [\n"
	case 2:
		m.broken.what, broken = "nothing", "\n"
	default:
		m.broken.what, m.broken.twice = "its object twice", true
		m.broken.mend = func(ctx context.Context) error { return h.Node.Put(ctx, "twice.yaml", "") }
		return file + " has its object in another file too", h.Node.Put(ctx, "twice.yaml", text)
	}
	return file + " has " + m.broken.what, h.Node.Put(ctx, file, broken)
}

func mend(ctx context.Context, h *History) (string, error) {
	m := h.model
	if m.broken == nil {
		return "", nil
	}
	b := m.broken
	m.broken, m.blind = nil, false
	return "the files are mended", b.mend(ctx)
}

func hide(ctx context.Context, h *History) (string, error) {
	if h.model.broken != nil || h.model.full {
		return "", nil
	}
	h.model.broken = &mistake{what: "no directory", life: h.Node.Lives(), mend: h.Node.Show}
	if h.chance(30) {
		if err := h.Node.Kill(ctx, 0); err != nil {
			return "", err
		}
	}
	return "the directory of specs is moved away", h.Node.Hide(ctx)
}

func emptyTrash(ctx context.Context, h *History) (string, error) {
	if h.model.broken != nil || h.model.full {
		return "", nil
	}
	h.model.emptied = true
	return "the trash is emptied", h.Node.Put(ctx, "pools.yaml", pools("0s"))
}

func day(ctx context.Context, h *History) (string, error) {
	if h.model.broken != nil || h.model.full || h.Node.RealTime() {
		return "", nil
	}
	h.Node.Day(ctx)
	h.model.emptied = true
	return "a day goes by", nil
}

func reboot(ctx context.Context, h *History) (string, error) {
	if h.model.broken != nil || h.Node.RealTime() {
		return "", nil
	}
	h.model.theirs = map[string][]string{}
	for name, f := range h.model.foreign {
		f.held = name == "filler"
	}
	for _, t := range h.model.things {
		if t.lv != nil {
			t.lv.held = ""
		}
	}
	if err := h.Node.Reboot(ctx); err != nil {
		return "reboot", err
	}
	return "the node is rebooted", h.Node.Start(ctx)
}
