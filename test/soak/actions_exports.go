package soak

import (
	"context"
	"fmt"
)

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
	e := h.pickExport(func(e *export) bool { return e.named && h.model.isComplete() })
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
		return e.named && (h.model.isComplete() || !e.hostB && (e.have == nil || e.isExact()))
	})
	if e == nil {
		return "", nil
	}
	e.hostB = !e.hostB
	return fmt.Sprintf("Export/%s admits %s: %t", e.name, hostB, e.hostB), h.putExport(ctx, e)
}

func portal(ctx context.Context, h *History) (string, error) {
	e := h.pickExport(func(e *export) bool { return e.named && h.model.isComplete() })
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
