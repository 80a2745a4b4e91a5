package fakehost

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// Events reports changes of a machine as package watch does of a real one. Of configfs it reports
// what somebody writes, makes and removes, but nothing that the kernel does by itself; of LVM
// commits to the physical volumes that [Events.PhysicalVolumes] names. It reports block devices that
// come, go or change, too.
//
// Nothing is announced of sessions, keys, mounts, and of how full anything is.
type Events struct {
	mu      sync.Mutex
	changed chan struct{}
	waiting []watch.Event
	volumes map[string]bool
	deaf    map[watch.Source]string
}

// Watch returns what reports all changes from now on.
func (h *Host) Watch() *Events {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := &Events{changed: make(chan struct{}, 1), volumes: map[string]bool{}, deaf: map[watch.Source]string{}}
	h.events = append(h.events, e)
	return e
}

// Unwatch ends what Watch began.
func (h *Host) Unwatch(e *Events) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = slices.DeleteFunc(slices.Clone(h.events), func(other *Events) bool { return other == e })
}

// Changed receives when there is something to take.
func (e *Events) Changed() <-chan struct{} { return e.changed }

// Take returns what has changed since the last call.
func (e *Events) Take() []watch.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.waiting
	e.waiting = nil
	return taken
}

// PhysicalVolumes says which devices are watched as physical volumes from now on. Each that was
// not before gives an event.
func (e *Events) PhysicalVolumes(nodes []string) {
	e.mu.Lock()
	before := e.volumes
	e.volumes = map[string]bool{}
	for _, node := range nodes {
		e.volumes[node] = true
	}
	e.mu.Unlock()
	for _, node := range nodes {
		if !before[node] {
			e.put(watch.Event{Source: watch.Metadata, Path: node})
		}
	}
}

// Deafen stops a source from being watched, for a reason. With an empty one it is watched again,
// and anything may have changed meanwhile.
func (e *Events) Deafen(s watch.Source, why string) {
	e.mu.Lock()
	delete(e.deaf, s)
	if why != "" {
		e.deaf[s] = why
	}
	e.mu.Unlock()
	if why == "" {
		e.put(watch.Event{Source: s})
	}
}

// Status says which sources are watched.
func (e *Events) Status() []watch.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []watch.Status
	for _, s := range []watch.Source{watch.Configfs, watch.Metadata, watch.Devices} {
		why := e.deaf[s]
		all = append(all, watch.Status{Source: s, Watching: why == "", Why: why})
	}
	return all
}

// put reports an event, once until it is taken.
func (e *Events) put(event watch.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.deaf[event.Source] != "" || event.Source == watch.Metadata && event.Path != "" && !e.volumes[event.Path] {
		return
	}
	same := func(other watch.Event) bool {
		return other.Source == event.Source && other.Path == event.Path && pidOf(other.By) == pidOf(event.By)
	}
	if !slices.ContainsFunc(e.waiting, same) {
		e.waiting = append(e.waiting, event)
	}
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

func pidOf(p *watch.Process) int {
	if p == nil {
		return 0
	}
	return p.PID
}

// Hand is a machine as a process changes it. What it writes is known to be by that process.
//
// Of the agent itself ([watch.Process.Own]) it is not reported what it writes to configfs.
type Hand struct {
	*Host
	By watch.Process
}

// Run runs a command, see [Host.Run].
func (u Hand) Run(ctx context.Context, argv ...string) (host.Output, error) {
	return u.runBy(ctx, &u.By, argv)
}

// WriteFile writes an attribute, see [Host.WriteFile].
func (u Hand) WriteFile(path string, data []byte) error { return u.writeBy(&u.By, path, data) }

// somebody is who changes a machine that is changed without a [Hand].
var somebody = &watch.Process{PID: 4711, Command: "sh", Executable: "/usr/bin/dash", User: "root", LoginUID: -1, Parents: []string{"sshd"}}

// put reports an event. The caller holds the lock.
func (h *Host) put(source watch.Source, path string, by *watch.Process) {
	for _, e := range h.events {
		e.put(watch.Event{Source: source, Path: path, By: by})
	}
}

// written reports that an attribute was written.
func (h *Host) written(name string, by *watch.Process) {
	if n, err := h.tree.find(name); err == nil && isKernelObject(name) && !by.Own {
		h.put(watch.Configfs, h.tree.nameOf(n), by)
	}
}

// nameOf returns the path of what is in configfs, without symlinks.
func (c *configfs) nameOf(n *node) string {
	return path.Join(configDir, n.root().name, n.path())
}

// entered reports that a directory or symlink was made or removed. The directory that it is in is
// there.
func (h *Host) entered(name string) {
	name = path.Clean(name)
	if dir, err := h.tree.find(path.Dir(name)); err == nil && isKernelObject(name) {
		h.put(watch.Configfs, path.Join(h.tree.nameOf(dir), path.Base(name)), nil)
	}
}

// reported is what events are made of, if it has changed.
type reported struct {
	// subsystems are the directories of configfs that are there, groups what is in LVM's metadata on
	// each disk, and devices what is behind each device node.
	subsystems, groups, devices map[string]string
}

// reported returns nothing if nobody takes the events.
func (h *Host) reported() reported {
	if len(h.events) == 0 {
		return reported{}
	}
	r := reported{subsystems: map[string]string{}, groups: map[string]string{}, devices: map[string]string{}}
	for name, dir := range map[string]*node{targetDir: h.tree.root, nvmetDir: h.tree.nvmet} {
		if dir != nil && !h.tree.unmounted {
			r.subsystems[name] = "there"
		}
	}
	for _, g := range h.lvm.groups {
		r.groups[diskOf(g.Name)] = g.metadataText()
		r.devices[diskOf(g.Name)] = strconv.Itoa(g.MissingPVs)
		for _, lv := range g.lvs {
			if lv.Active {
				r.devices["/dev/dm-"+strconv.Itoa(lv.Minor)] = fmt.Sprint(lv.UUID, deviceName(g.Name, lv.Name), lv.Size, lv.COWSize)
			}
		}
	}
	return r
}

// metadataText changes with all that LVM keeps in a volume group's metadata.
func (g *group) metadataText() string {
	var b strings.Builder
	fmt.Fprint(&b, g.UUID, g.Seqno, g.ExtentSize, g.Extents, g.SystemID, g.Exported, g.Shared, g.Unusable)
	for _, lv := range g.lvs {
		fmt.Fprintf(&b, "\n%q", []any{lv.Name, lv.UUID, lv.Type, lv.Layout, lv.Size, lv.COWSize, lv.MetadataSize, lv.Origin, lv.Pool, lv.Tags, lv.SkipActivation, lv.ReadOnly})
	}
	return b.String()
}

// report reports what a command, or somebody, has changed.
func (h *Host) report(before reported, by *watch.Process) {
	if len(h.events) == 0 {
		return
	}
	now := h.reported()
	for _, name := range changedNames(before.subsystems, now.subsystems) {
		h.put(watch.Configfs, name, nil)
	}
	for _, name := range changedNames(before.groups, now.groups) {
		h.put(watch.Metadata, name, by)
	}
	for _, name := range changedNames(before.devices, now.devices) {
		h.put(watch.Devices, name, nil)
	}
}

// changedNames returns the names that have another value in the second map, or are in one alone.
func changedNames(before, now map[string]string) []string {
	var names []string
	for name, value := range now {
		if was, there := before[name]; !there || was != value {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, there := now[name]; !there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// entries are the directories and symlinks in configfs, and the attributes that can be written, by
// their paths. It returns nothing if nobody takes the events.
func (h *Host) entries() map[string]string {
	all := map[string]string{}
	if len(h.events) == 0 || h.tree.unmounted {
		return all
	}
	for _, root := range []*node{h.tree.root, h.tree.nvmet} {
		if root == nil {
			continue
		}
		root.each(func(n *node) bool {
			switch {
			case n.target != nil:
				all[h.tree.nameOf(n)] = "-> " + n.target.path()
			case n.isDir():
				all[h.tree.nameOf(n)] = "/"
			case n.attribute == nil || n.attribute.store != nil:
				all[h.tree.nameOf(n)] = n.text
			}
			return true
		})
	}
	return all
}

// reportEntries reports what was changed in configfs. Of what was made or removed with the
// directory that it is in, nothing is reported.
func (h *Host) reportEntries(before map[string]string, by *watch.Process) {
	if len(h.events) == 0 {
		return
	}
	now := h.entries()
	for _, name := range changedNames(before, now) {
		_, was := before[name]
		_, is := now[name]
		switch dir := path.Dir(name); {
		case was && is && now[name] != "/" && !strings.HasPrefix(now[name], "-> "):
			h.put(watch.Configfs, name, by)
		case before[dir] == now[dir]:
			h.put(watch.Configfs, name, nil)
		}
	}
}
