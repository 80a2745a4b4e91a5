package soak

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

const configfsDir = "/sys/kernel/config/target/"

// configfs changes LIO by hand: mkdir, rm, echo and ln, with paths below LIO's
// directory. What the agent was faster with fails, and that does not matter.
func (h *History) configfs(lines ...string) {
	for _, l := range lines {
		f := strings.Fields(l)
		switch f[0] {
		case "mkdir":
			_ = h.Node.Mkdir(configfsDir + f[1])
		case "rm":
			_ = h.Node.Remove(configfsDir + f[1])
		case "echo":
			_ = h.Node.WriteFile(configfsDir+f[2], []byte(f[1]))
		case "ln":
			_ = h.Node.Symlink(configfsDir+f[1], configfsDir+f[2])
		}
	}
}

// backstoreDir is where the backstore of a volume or snapshot is; nowhere if there is none.
func (h *History) backstoreDir(ctx context.Context, t *thing) string {
	n, err := h.Node.Look(ctx)
	if err == nil {
		for _, e := range n.ConfigFS {
			if strings.HasPrefix(e.Path, "core/") && path.Base(e.Path) == backstore(t) {
				return e.Path
			}
		}
	}
	return "core/" + ondisk.HBA + "/" + backstore(t)
}

// damage changes one of our targets by hand.
func damage(ctx context.Context, h *History) (string, error) {
	m := h.model
	e := h.pickExport(func(e *export) bool { return e.named && e.have != nil && len(e.have.luns) > 0 && e.isExact() })
	if e == nil {
		return "", nil
	}
	tpg := "iscsi/" + iqn(e.name) + "/tpgt_1/"
	host := sorted(e.have.hosts)[h.rand.IntN(len(e.have.hosts))]
	acl := tpg + "acls/" + host + "/"
	thing := sorted(e.have.luns)[h.rand.IntN(len(e.have.luns))]
	number := e.have.luns[thing].number
	unmap := func(e *export, tpg, thing string) (lines []string) {
		l := e.have.luns[thing]
		for _, host := range sorted(e.have.hosts) {
			mapped := fmt.Sprintf("%sacls/%s/lun_%d", tpg, host, l.number)
			lines = append(lines, "rm "+mapped+"/lun", "rm "+mapped)
		}
		return append(lines, fmt.Sprintf("rm %slun/lun_%d/backstore", tpg, l.number), fmt.Sprintf("rm %slun/lun_%d", tpg, l.number))
	}
	what := ""
	var lines []string
	choice := h.rand.IntN(13)
	if choice >= 9 && !m.isComplete() {
		choice -= 9 // what is too much would stay
	}
	switch choice {
	case 0:
		what, lines = "target disabled", []string{"echo 0 " + tpg + "enable"}
	case 1:
		what, lines = "authentication off, open to all", []string{"echo 0 " + tpg + "attrib/authentication", "echo 1 " + tpg + "attrib/generate_node_acls"}
	case 2:
		what, lines = "other credentials", []string{"echo somebody " + acl + "auth/userid", "echo something-else " + acl + "auth/password", "echo 0 " + acl + "attrib/authentication"}
	case 3:
		what, lines = "write protection", []string{fmt.Sprintf("echo %d %slun_%d/write_protect", h.rand.IntN(2), acl, number)}
	case 4:
		what, lines = "mapped LUN removed", []string{fmt.Sprintf("rm %slun_%d/lun", acl, number), fmt.Sprintf("rm %slun_%d", acl, number)}
	case 5:
		what, lines = "LUN removed", unmap(e, tpg, thing)
	case 6:
		what = "access list removed"
		for _, name := range sorted(e.have.luns) {
			l := e.have.luns[name]
			lines = append(lines, fmt.Sprintf("rm %slun_%d/lun", acl, l.number), fmt.Sprintf("rm %slun_%d", acl, l.number))
		}
		lines = append(lines, "rm "+strings.TrimSuffix(acl, "/"))
	case 7:
		what, lines = "portal removed", []string{"rm " + tpg + "np/" + e.have.portal}
	case 8:
		what = "target removed"
		for _, name := range sorted(e.have.luns) {
			lines = append(lines, unmap(e, tpg, name)...)
		}
		for _, host := range sorted(e.have.hosts) {
			lines = append(lines, "rm "+tpg+"acls/"+host)
		}
		lines = append(lines, "rm "+tpg+"np/"+e.have.portal, "rm "+strings.TrimSuffix(tpg, "/"))
		if h.chance(50) {
			lines = append(lines, "rm iscsi/"+iqn(e.name))
		}
	case 9:
		what, lines = "a stranger's access list", []string{"mkdir " + tpg + "acls/" + hostB + "-stranger"}
	case 10:
		what, lines = "another portal", []string{"mkdir " + tpg + "np/127.0.0.1:3399"}
	case 11:
		what, lines = "a LUN too many", []string{fmt.Sprintf("mkdir %slun/lun_%d", tpg, 99), "ln " + h.backstoreDir(ctx, m.things[thing]) + " " + tpg + "lun/lun_99/x"}
	default:
		what = "backstore removed, with its LUNs"
		for _, name := range sorted(m.exports) {
			o := m.exports[name]
			if o.have == nil {
				continue
			}
			if _, there := o.have.luns[thing]; !there {
				continue
			}
			if o != e && (!o.named || !h.freeExport(o) || !o.isExact()) {
				return "", nil
			}
			h.touched[o.name] = true
			lines = append(lines, unmap(o, "iscsi/"+iqn(o.name)+"/tpgt_1/", thing)...)
		}
		lines = append(lines, "rm "+h.backstoreDir(ctx, m.things[thing]))
	}
	h.configfs(lines...)
	return fmt.Sprintf("by hand in Export/%s: %s (%s, LUN %d)", e.name, what, host, number), nil
}

// foreignLIO makes a target that is not ours, with a name near ours or in the
// way, or a backstore.
func foreignLIO(ctx context.Context, h *History) (string, error) {
	m := h.model
	if len(m.theirs) > 4 {
		return "", nil
	}
	for _, module := range []string{"target_core_mod", "iscsi_target_mod"} {
		if err := h.lvm(ctx, "modprobe", module); err != nil {
			return module, err
		}
	}
	h.serial++
	if h.chance(30) {
		for _, name := range sorted(m.foreign) {
			f := m.foreign[name]
			t := m.things[name]
			if f.held || f.line == "" || t != nil && (!h.free(t) || t.adopt) {
				continue
			}
			if t != nil {
				h.touched[t.family()] = true
			}
			dir := fmt.Sprintf("core/iblock_7/theirs-%d", h.serial)
			f.held, m.theirs[dir] = true, nil
			h.configfs("mkdir core/iblock_7", "mkdir "+dir, "echo udev_path=/dev/"+vg+"/"+name+" "+dir+"/control", "echo 1 "+dir+"/enable")
			return "a backstore on " + name + ", not ours", nil
		}
	}
	e := h.pickExport(func(e *export) bool { return !e.named && e.have == nil })
	if e == nil {
		return "", nil
	}
	name := iqn(e.name)
	if h.chance(60) {
		name = fmt.Sprintf("%s%d", name, h.serial)
	}
	if _, there := m.theirs["iscsi/"+name]; there {
		return "", nil
	}
	dir := "iscsi/" + name
	m.theirs[dir] = nil
	h.configfs("mkdir iscsi", "mkdir "+dir, "mkdir "+dir+"/tpgt_1", "mkdir "+dir+"/tpgt_1/acls/"+hostA, "mkdir "+dir+"/tpgt_1/np/127.0.0.1:3398", "echo 1 "+dir+"/tpgt_1/enable")
	return "the target " + name + ", not ours", nil
}

// hold makes a backstore that is not ours on one of our logical volumes.
func hold(ctx context.Context, h *History) (string, error) {
	m := h.model
	t := h.pick(func(t *thing) bool {
		return t.usable() && t.of == "" && t.lv.held == "" && !m.isExported(t)
	})
	if t == nil {
		return "", nil
	}
	if err := h.lvm(ctx, "modprobe", "target_core_mod"); err != nil {
		return "", err
	}
	h.serial++
	dir := fmt.Sprintf("core/iblock_7/theirs-%d", h.serial)
	t.lv.held, m.theirs[dir] = dir, nil
	h.configfs("mkdir core/iblock_7", "mkdir "+dir, "echo udev_path=/dev/"+vg+"/"+t.name+" "+dir+"/control", "echo 1 "+dir+"/enable")
	return "a backstore on " + t.name + ", not ours", nil
}

// letGo undoes hold.
func letGo(_ context.Context, h *History) (string, error) {
	t := h.pick(func(t *thing) bool { return t.lv != nil && t.lv.held != "" && t.lv.held != mountPoint })
	if t == nil || !h.claimExports(t) {
		return "", nil
	}
	dir := t.lv.held
	t.lv.held = ""
	delete(h.model.theirs, dir)
	h.configfs("rm " + dir)
	return dir + " is removed, which is not ours", nil
}

func removeForeignLIO(_ context.Context, h *History) (string, error) {
	m := h.model
	if len(m.theirs) == 0 {
		return "", nil
	}
	dir := sorted(m.theirs)[h.rand.IntN(len(m.theirs))]
	if strings.HasPrefix(dir, "core/") {
		return "", nil // it is kept
	}
	for _, e := range m.exports {
		if dir == "iscsi/"+iqn(e.name) {
			if !h.freeExport(e) {
				return "", nil
			}
			h.touched[e.name] = true
		}
	}
	delete(m.theirs, dir)
	h.configfs("rm "+dir+"/tpgt_1/acls/"+hostA, "rm "+dir+"/tpgt_1/np/127.0.0.1:3398", "rm "+dir+"/tpgt_1", "rm "+dir)
	return dir + " is removed, which is not ours", nil
}
