package soak

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// By hand, what turns a logical volume into something that the agent did not make. The agent
// leaves it alone until the administrator undoes it.

// mountPoint is where one logical volume at a time is mounted.
const mountPoint = "/mnt"

// isSpecial reports whether somebody turned a logical volume into something that the agent does
// not make. Nothing else happens to it then.
func (v *volume) isSpecial() bool {
	return v != nil && (v.readOnly || v.cached || v.unlinked || v.clone != "")
}

// commands runs commands that belong together as one, so that the agent sees as little as
// it can of what is in between.
func (h *History) commands(ctx context.Context, lines ...string) error {
	if h.Node.RealTime() {
		return h.lvm(ctx, "sh", "-c", strings.Join(lines, " && "))
	}
	for _, line := range lines {
		if err := h.lvm(ctx, strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// pickPlain is a declared Volume, with a logical volume as the agent makes it.
func (h *History) pickPlain(is func(*thing) bool) *thing {
	return h.pick(func(t *thing) bool {
		return t.usable() && t.of == "" && t.lv.uuid != "" && t.lv.size >= t.size && is(t)
	})
}

func (h *History) isAlone(t *thing) bool {
	return !slices.ContainsFunc(h.model.familyOf(t), func(o *thing) bool { return o.of != "" && (o.named || o.lv != nil) })
}

// extend makes a logical volume larger than its file says.
func extend(ctx context.Context, h *History) (string, error) {
	t := h.pickPlain(func(t *thing) bool {
		return !h.model.full && t.lv.size < 64*extent && (t.thin || len(h.model.snapshotsOf(t)) == 0)
	})
	if t == nil {
		return "", nil
	}
	t.lv.size += uint64(1+h.rand.IntN(3)) * extent
	line := fmt.Sprintf("lvextend -y -L %db %s/%s", t.lv.size, vg, t.name)
	return line, h.lvm(ctx, strings.Fields(line)...)
}

// extendPool makes the thin pool larger than its Pool says.
func extendPool(ctx context.Context, h *History) (string, error) {
	if h.model.full || h.model.poolSize > 1200<<20 {
		return "", nil
	}
	h.model.poolSize += extent
	line := fmt.Sprintf("lvextend -y -L %db %s/%s", h.model.poolSize, vg, pool0)
	return line, h.lvm(ctx, strings.Fields(line)...)
}

// protect makes a logical volume read-only, be it exported or not, and unprotect writable again.
func protect(ctx context.Context, h *History) (string, error) {
	t := h.pickPlain(func(t *thing) bool { return t.lv.held == "" && h.isAlone(t) && h.mayRemake(t) })
	if t == nil {
		return "", nil
	}
	t.lv.readOnly = true
	return "lvchange -pr " + t.name, h.lvm(ctx, "lvchange", "-pr", vg+"/"+t.name)
}

func unprotect(ctx context.Context, h *History) (string, error) {
	t := h.pickSpecial(func(t *thing) bool { return t.lv.readOnly && t.lv.clone == "" && h.mayRemake(t) })
	if t == nil {
		return "", nil
	}
	t.lv.readOnly = false
	return "lvchange -prw " + t.name, h.lvm(ctx, "lvchange", "-prw", vg+"/"+t.name)
}

// mayRemake reports whether the backstore of an exported Volume can be made anew, which
// takes it from its targets.
func (h *History) mayRemake(t *thing) bool { return h.model.isComplete() || !h.model.isExported(t) }

// pickSpecial returns a Volume whose logical volume the administrator turned into something special.
func (h *History) pickSpecial(is func(*thing) bool) *thing {
	for _, t := range h.model.volumes() {
		if t.lv.isSpecial() && is(t) && !h.touched[t.name] && (h.model.broken == nil || h.model.broken.object != t.id()) {
			h.touched[t.name] = true
			return t
		}
	}
	return nil
}

// clone makes a thin volume that has one of ours as external origin, and sometimes undeclares
// that origin; unclone removes it.
func clone(ctx context.Context, h *History) (string, error) {
	t := h.pickPlain(func(t *thing) bool {
		return !t.thin && !h.model.full && t.lv.held == "" && t.lv.name == t.name && !h.model.isExported(t) && h.isAlone(t)
	})
	if t == nil {
		return "", nil
	}
	h.serial++
	name := fmt.Sprintf("clone-%s.%d", t.name, h.serial)
	// The agent may be faster to activate it again, which LVM does not want.
	err := h.lvm(ctx, "lvchange", "-pr", vg+"/"+t.name)
	for try := 0; err == nil; try++ {
		err = h.commands(ctx, fmt.Sprintf("lvchange -an %s/%s", vg, t.name), fmt.Sprintf("lvcreate -y -s --thinpool %s/%s -n %s %s/%s", vg, pool0, name, vg, t.name))
		if err == nil || try == 9 {
			break
		}
		err = nil
	}
	what := "lvcreate -s --thinpool, of " + t.name
	if err != nil {
		return what, err
	}
	t.lv.readOnly, t.lv.clone = true, name
	h.model.foreign[name] = &foreign{thin: true, size: t.lv.size, content: t.lv.content, held: true, pinned: true}
	if h.model.doomed() >= maxDoomed || h.chance(50) {
		return what, nil
	}
	t.named, t.recreate, t.adopt = false, "", false
	return what + ", which is no longer declared", h.Node.Put(ctx, t.file(), "")
}

func unclone(ctx context.Context, h *History) (string, error) {
	t := h.pickSpecial(func(t *thing) bool { return t.lv.clone != "" })
	if t == nil {
		return "", nil
	}
	name := t.lv.clone
	delete(h.model.foreign, name)
	t.lv.readOnly, t.lv.clone = false, ""
	return "lvremove " + name, h.commands(ctx, fmt.Sprintf("lvremove -y %s/%s", vg, name), fmt.Sprintf("lvchange -prw %s/%s", vg, t.name))
}

// mount makes a file system on one of ours, and mounts it on the node; unmount undoes that.
func mount(ctx context.Context, h *History) (string, error) {
	m := h.model
	if slices.ContainsFunc(m.volumes(), func(t *thing) bool { return t.lv != nil && t.lv.held == mountPoint }) {
		return "", nil
	}
	t := h.pickPlain(func(t *thing) bool { return t.lv.held == "" && t.lv.name == t.name && !m.isExported(t) && h.isAlone(t) })
	if t == nil {
		return "", nil
	}
	t.lv.held, t.lv.content = mountPoint, Unread
	return "mount /dev/" + vg + "/" + t.name, h.Node.Mount(ctx, vg+"/"+t.name, mountPoint)
}

func unmount(ctx context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool { return t.lv != nil && t.lv.held == mountPoint })
	if t == nil || !h.claimExports(t) {
		return "", nil
	}
	t.lv.held = ""
	return "umount of " + t.name, h.Node.Unmount(ctx, mountPoint)
}

// The rest is LVM's and the kernel's alone.

// cache puts a cache before one of ours, and uncache takes it away.
func cache(ctx context.Context, h *History) (string, error) {
	if !h.Node.RealTime() || h.model.full {
		return "", nil
	}
	t := h.pickPlain(func(t *thing) bool { return !t.thin && t.lv.held == "" && t.lv.name == t.name && h.isAlone(t) })
	if t == nil {
		return "", nil
	}
	t.lv.cached = true
	h.serial++
	fast := fmt.Sprintf("fast-%d", h.serial)
	return "lvconvert --type cache " + t.name, h.commands(ctx, fmt.Sprintf("lvcreate -y -n %s -L 32m %s", fast, vg),
		fmt.Sprintf("lvconvert -y --type cache --cachevol %s/%s %s/%s", vg, fast, vg, t.name))
}

func uncache(ctx context.Context, h *History) (string, error) {
	t := h.pickSpecial(func(t *thing) bool { return t.lv.cached })
	if t == nil {
		return "", nil
	}
	t.lv.cached = false
	return "lvconvert --uncache " + t.name, h.lvm(ctx, "lvconvert", "-y", "--uncache", vg+"/"+t.name)
}

// unlink removes the names of a device, which the agent needs, and makes again, for an export.
// link makes them again.
func unlink(ctx context.Context, h *History) (string, error) {
	if !h.Node.RealTime() {
		return "", nil
	}
	t := h.pickPlain(func(t *thing) bool { return t.lv.held == "" && t.lv.name == t.name })
	if t == nil {
		return "", nil
	}
	line := fmt.Sprintf("rm -f /dev/%s/%s", vg, t.name)
	if h.chance(50) {
		line += fmt.Sprintf(" /dev/mapper/%s-%s", vg, strings.ReplaceAll(t.name, "-", "--"))
	}
	t.lv.unlinked = true
	return line, h.lvm(ctx, strings.Fields(line)...)
}

func link(ctx context.Context, h *History) (string, error) {
	t := h.pickSpecial(func(t *thing) bool { return t.lv.unlinked })
	if t == nil {
		return "", nil
	}
	t.lv.unlinked = false
	return "vgmknodes, for " + t.name, h.lvm(ctx, "sh", "-c", "vgmknodes "+vg+" || true") // it may fail because there was something to do
}

// undo removes one of ours by mistake, and has LVM restore the metadata from before.
func undo(ctx context.Context, h *History) (string, error) {
	m := h.model
	if !h.Node.RealTime() || m.full || m.failing || m.broken != nil {
		return "", nil
	}
	t := h.pickPlain(func(t *thing) bool {
		return !t.thin && t.lv.held == "" && t.lv.name == t.name && !m.isExported(t) && h.isAlone(t)
	})
	if t == nil {
		return "", nil
	}
	return "vgcfgrestore after an lvremove of " + t.name, h.commands(ctx, "vgcfgbackup -f /run/before "+vg,
		fmt.Sprintf("lvremove -y %s/%s", vg, t.name), "vgcfgrestore -y --force -f /run/before "+vg)
}

// clearConfig removes all that there is in LIO, as targetcli does.
func clearConfig(ctx context.Context, h *History) (string, error) {
	m := h.model
	if !m.isComplete() || m.full {
		return "", nil
	}
	m.theirs = map[string][]string{}
	for _, f := range m.foreign {
		f.held = f.pinned
	}
	for _, t := range m.things {
		if t.lv != nil && strings.HasPrefix(t.lv.held, "core/") {
			t.lv.held = ""
		}
	}
	const what = "targetcli clearconfig"
	if h.Node.RealTime() {
		_, err := h.Node.Run(ctx, "targetcli", "clearconfig", "confirm=True")
		return what, err
	}
	n, err := h.Node.Look(ctx)
	if err != nil {
		return what, err
	}
	for _, root := range []string{"iscsi/", "core/"} {
		for _, links := range []bool{true, false} {
			for _, e := range slices.Backward(n.ConfigFS) {
				if strings.HasPrefix(e.Path, root) && (e.Link != "") == links && e.Text == nil {
					_ = h.Node.Remove(configfsDir + e.Path) // of those that go with others too
				}
			}
		}
	}
	return what, nil
}

// Cluster is a Node from which initiators can register keys.
type Cluster interface {
	// Register registers a key with APTPL, and reserves the LUN; Unregister clears all keys.
	Register(ctx context.Context, target, portal, initiator, password string, lun int, key string) error
	Unregister(ctx context.Context, target, portal, initiator, password string, lun int) error
}

// reserve registers a key for a LUN. Nothing that would lose it is done then.
func reserve(ctx context.Context, h *History) (string, error) {
	cluster, is := h.Node.(Cluster)
	if !is {
		return "", nil
	}
	e := h.pickExport(func(e *export) bool {
		return e.named && e.have != nil && e.isExact() && len(e.luns) == len(e.have.luns) && len(e.have.luns) > 0 && e.have.hosts[hostA] == e.password && e.have.portal == e.portal
	})
	if e == nil {
		return "", nil
	}
	name := sorted(e.have.luns)[0]
	t := h.model.things[name]
	if e.have.luns[name].readOnly || !h.free(t) || !t.usable() || slices.ContainsFunc(sorted(h.model.exports), func(o string) bool { return h.model.exports[o].key != "" }) {
		return "", nil
	}
	h.touched[t.family()] = true
	h.serial++
	e.key, e.keyed = fmt.Sprintf("0x%x", h.serial), name
	return "a key is registered for " + name + " in Export/" + e.name, cluster.Register(ctx, iqn(e.name), e.portal, hostA, e.password, e.luns[name].number, e.key)
}

func unreserve(ctx context.Context, h *History) (string, error) {
	cluster, is := h.Node.(Cluster)
	if !is {
		return "", nil
	}
	for _, e := range h.model.exports {
		if e.key == "" || h.touched[e.name] {
			continue
		}
		h.touched[e.name] = true
		h.touched[h.model.things[e.keyed].family()] = true
		number := e.luns[e.keyed].number
		e.key, e.keyed = "", ""
		return "the keys in Export/" + e.name + " are cleared", cluster.Unregister(ctx, iqn(e.name), e.portal, hostA, e.password, number)
	}
	return "", nil
}

// reserved reports whether there is a key for a Volume or Snapshot of a family.
func (m *Model) reserved(family string) bool {
	for _, e := range m.exports {
		if e.key != "" && m.things[e.keyed].family() == family {
			return true
		}
	}
	return false
}
