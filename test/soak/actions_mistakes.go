package soak

import (
	"context"
	"strings"
)

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
	return "a day passes", nil
}

func reboot(ctx context.Context, h *History) (string, error) {
	if h.model.broken != nil || h.Node.RealTime() {
		return "", nil
	}
	h.model.theirs = map[string][]string{}
	for _, f := range h.model.foreign {
		f.held = f.pinned
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
