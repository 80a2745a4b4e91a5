package fakehost

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// The types of logical volumes in a [Node].
const (
	thick         = "thick"
	thickSnapshot = "thickSnapshot"
	thin          = "thin"
	thinPool      = "thinPool"
	otherLV       = "other"
)

// lvm plays LVM 2.03.16, command line for command line.
//
// A logical volume is in use while it is mounted, while [LogicalVolume.HeldBy]
// names anything, or while somebody holds its minor number. The last is how the
// kernel half says that a backstore has opened the device: it calls hold when
// the backstore is enabled, and release when it is gone. The numbers are not in
// the Node; whoever loads one holds them again.
type lvm struct {
	groups []*group
	mounts []Mount
	// processes have logical volumes open, but none for itself alone.
	processes []Process
	serial    uint64
	open      map[int]int // how often, by minor number
	clock     func() time.Time

	// minors are the devices of the active logical volumes, and every number below lowest
	// is among them. uuids are all that there are, and how often.
	minors map[int]device
	lowest int
	uuids  map[string]int
}

// device is an active logical volume.
type device struct {
	g  *group
	lv *LogicalVolume
}

// group is a volume group. Its logical volumes are in lvs, so that pointers to
// them stay what they are when others come and go.
//
// They are found by their names in names, and in dependants by those of their origins,
// in the order of lvs: a node may have thousands.
type group struct {
	VolumeGroup
	lvs        []*LogicalVolume
	names      map[string]*LogicalVolume
	dependants map[string][]*LogicalVolume
	// pools are the thin pools, and visible is how many extents all in lvs have together.
	pools   []*LogicalVolume
	visible uint64
}

// index finds out anew what is where.
func (g *group) index() {
	lvs := g.lvs
	g.lvs, g.names, g.dependants = nil, make(map[string]*LogicalVolume, len(lvs)), map[string][]*LogicalVolume{}
	g.pools, g.visible = nil, 0
	for _, lv := range lvs {
		g.insert(lv)
	}
}

// insert adds a logical volume.
func (g *group) insert(lv *LogicalVolume) {
	g.lvs = append(g.lvs, lv)
	if g.names[lv.Name] == nil {
		g.names[lv.Name] = lv
	}
	if lv.Origin != "" {
		g.dependants[lv.Origin] = append(g.dependants[lv.Origin], lv)
	}
	if lv.Type == thinPool {
		g.pools = append(g.pools, lv)
	}
	g.visible += g.allocated(lv)
}

// drop removes a logical volume of which nothing depends any more.
func (g *group) drop(lv *LogicalVolume) {
	is := func(other *LogicalVolume) bool { return other == lv }
	if i := slices.Index(g.lvs, lv); i >= 0 {
		g.lvs = slices.Delete(g.lvs, i, i+1)
	}
	delete(g.names, lv.Name)
	if lv.Origin != "" {
		g.dependants[lv.Origin] = slices.DeleteFunc(g.dependants[lv.Origin], is)
	}
	g.pools = slices.DeleteFunc(g.pools, is)
	g.visible -= g.allocated(lv)
}

// load reads LVM of a node, and fills in what it may leave out.
func (l *lvm) load(n Node) error {
	*l = lvm{serial: n.Serial, mounts: slices.Clone(n.Mounts), processes: slices.Clone(n.Processes), open: map[int]int{}, minors: map[int]device{}, uuids: map[string]int{}}
	for _, vg := range n.VolumeGroups {
		g := &group{VolumeGroup: vg}
		g.LogicalVolumes = nil
		for _, lv := range vg.LogicalVolumes {
			lv.Tags, lv.HeldBy = slices.Clone(lv.Tags), slices.Clone(lv.HeldBy)
			lv.write(0, 0, nil) // in order, and nothing beyond its end
			g.lvs = append(g.lvs, &lv)
		}
		g.index()
		if l.group(vg.Name) != nil {
			return fmt.Errorf("volume group %s is there twice", vg.Name)
		}
		l.groups = append(l.groups, g)
	}
	for _, g := range l.groups {
		if err := g.check(); err != nil {
			return fmt.Errorf("volume group %s: %w", g.Name, err)
		}
	}
	l.completeUUIDs()
	l.completeMinors()
	for _, m := range l.mounts {
		vg, name, _ := strings.Cut(m.LV, "/")
		if lv := l.find(vg, name); lv == nil || !lv.Active {
			return fmt.Errorf("mount on %s: %s is no active logical volume", m.Dir, m.LV)
		}
	}
	return nil
}

// store is the reverse of load.
func (l *lvm) store(n *Node) {
	n.Serial, n.Mounts, n.Processes = l.serial, slices.Clone(l.mounts), slices.Clone(l.processes)
	for _, g := range l.groups {
		vg := g.VolumeGroup
		for _, lv := range g.lvs {
			c := *lv
			c.Tags, c.HeldBy = slices.Clone(lv.Tags), slices.Clone(lv.HeldBy)
			vg.LogicalVolumes = append(vg.LogicalVolumes, c)
		}
		n.VolumeGroups = append(n.VolumeGroups, vg)
	}
}

// check refuses what LVM could not have made.
func (g *group) check() error {
	if g.Name == "" || g.ExtentSize == 0 || g.ExtentSize%sector != 0 {
		return errors.New("a name and an extent size, a multiple of 512, are needed")
	}
	seen := make(map[string]bool, len(g.lvs))
	for _, lv := range g.lvs {
		if err := g.checkLV(lv); err != nil {
			return fmt.Errorf("logical volume %s: %w", lv.Name, err)
		}
		if seen[lv.Name] {
			return fmt.Errorf("logical volume %s is there twice", lv.Name)
		}
		seen[lv.Name] = true
	}
	if used := g.used(); used > g.Extents {
		return fmt.Errorf("%d extents are used, but there are only %d", used, g.Extents)
	}
	return nil
}

func (g *group) checkLV(lv *LogicalVolume) error {
	if lv.Name == "" || lv.Size == 0 {
		return errors.New("a name and a size are needed")
	}
	for what, size := range map[string]uint64{"size": lv.Size, "cowSize": lv.COWSize, "metadataSize": lv.MetadataSize} {
		if size%g.ExtentSize != 0 {
			return fmt.Errorf("%s: %d is not a multiple of the extent size", what, size)
		}
	}
	origin, pool := g.find(lv.Origin), g.find(lv.Pool)
	switch {
	case !slices.Contains([]string{thick, thickSnapshot, thin, thinPool, otherLV}, lv.Type):
		return fmt.Errorf("there is no type %q", lv.Type)
	case lv.Type == thickSnapshot && (origin == nil || lv.COWSize == 0):
		return errors.New("a thick snapshot needs an origin that is there, and a cowSize")
	case lv.Type == thin && (pool == nil || pool.Type != thinPool):
		return errors.New("a thin volume needs a thin pool that is there")
	case lv.Type == thin && lv.Origin != "" && origin == nil:
		return fmt.Errorf("its origin %s is not there", lv.Origin)
	case lv.Type == thickSnapshot:
		lv.Active = origin.Active
	}
	return nil
}

func (l *lvm) completeUUIDs() {
	for _, g := range l.groups {
		l.uuids[g.UUID]++
		for _, lv := range g.lvs {
			l.uuids[lv.UUID]++
		}
	}
	for _, g := range l.groups {
		if g.UUID == "" {
			g.UUID = l.newUUID()
		}
		for _, lv := range g.lvs {
			if lv.UUID == "" {
				lv.UUID = l.newUUID()
			}
		}
	}
}

// completeMinors lets every active logical volume keep its number, if that is
// possible.
func (l *lvm) completeMinors() {
	var without []device
	for _, g := range l.groups {
		for _, lv := range g.lvs {
			switch {
			case !lv.Active:
				lv.Minor = 0
			case l.minors[lv.Minor].lv != nil:
				without = append(without, device{g, lv})
			default:
				l.minors[lv.Minor] = device{g, lv}
			}
		}
	}
	for _, d := range without {
		l.activate(d.g, d.lv)
	}
}

// activate gives a logical volume a device, with the smallest number that no other has.
func (l *lvm) activate(g *group, lv *LogicalVolume) {
	for l.minors[l.lowest].lv != nil {
		l.lowest++
	}
	lv.Minor, lv.Active = l.lowest, true
	l.minors[lv.Minor] = device{g, lv}
}

// deactivate takes its device away.
func (l *lvm) deactivate(lv *LogicalVolume) {
	if lv.Active {
		delete(l.minors, lv.Minor)
		l.lowest = min(l.lowest, lv.Minor)
	}
	lv.Active, lv.Minor = false, 0
}

// newUUID makes up a UUID that was never given out before.
func (l *lvm) newUUID() string {
	for {
		l.serial++
		uuid := makeUUID("serial", fmt.Sprint(l.serial))
		if l.uuids[uuid] == 0 {
			l.uuids[uuid]++
			return uuid
		}
	}
}

// makeUUID returns the UUID, in LVM's form, that follows from some words.
func makeUUID(words ...string) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	var b strings.Builder
	for i, c := range sum {
		if i >= 6 && i <= 26 && (i-6)%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[int(c)%len(alphabet)])
	}
	return b.String()
}

// group returns a volume group, or nil.
func (l *lvm) group(name string) *group {
	i := slices.IndexFunc(l.groups, func(g *group) bool { return g.Name == name })
	if i < 0 {
		return nil
	}
	return l.groups[i]
}

// find returns a logical volume, or nil.
func (l *lvm) find(vg, name string) *LogicalVolume {
	if g := l.group(vg); g != nil {
		return g.find(name)
	}
	return nil
}

// find returns a visible logical volume, or nil.
func (g *group) find(name string) *LogicalVolume { return g.names[name] }

// byPath returns the active logical volume whose device a path is: /dev/vg/lv,
// /dev/mapper/vg-lv or /dev/dm-N. It returns nil if there is no such device.
func (l *lvm) byPath(dev string) *LogicalVolume {
	if number, is := strings.CutPrefix(dev, "/dev/dm-"); is {
		minor, err := strconv.Atoi(number)
		if err != nil || strconv.Itoa(minor) != number {
			return nil
		}
		return l.minors[minor].lv
	}
	for _, g := range l.groups {
		name, is := strings.CutPrefix(dev, "/dev/"+g.Name+"/")
		if !is {
			mapped, _ := strings.CutPrefix(dev, "/dev/mapper/"+deviceName(g.Name, ""))
			name = strings.ReplaceAll(mapped, "--", "-")
			is = "/dev/mapper/"+deviceName(g.Name, name) == dev
		}
		if lv := g.find(name); is && lv != nil && lv.Active {
			return lv
		}
	}
	return nil
}

// byMinor returns the active logical volume with a minor number, and its volume
// group's name; nil if there is none.
func (l *lvm) byMinor(minor int) (vg string, lv *LogicalVolume) {
	d := l.minors[minor]
	if d.lv == nil {
		return "", nil
	}
	return d.g.Name, d.lv
}

// hold opens the device with a minor number, release closes it. They count.
func (l *lvm) hold(minor int) { l.open[minor]++ }

func (l *lvm) release(minor int) {
	if l.open[minor]--; l.open[minor] <= 0 {
		delete(l.open, minor)
	}
}

// checkNotInUse returns LVM's error if something holds an active logical volume.
func (l *lvm) checkNotInUse(g *group, lv *LogicalVolume) error {
	name := g.Name + "/" + lv.Name
	switch {
	case !lv.Active:
		return nil
	case len(lv.HeldBy) > 0:
		return failure("Logical volume %s is used by another device.", name)
	case l.isMounted(name):
		return failure("Logical volume %s contains a filesystem in use.", name)
	case l.open[lv.Minor] > 0, l.isOpenByProcess(name):
		return failure("Logical volume %s in use.", name)
	}
	return nil
}

func (l *lvm) isMounted(name string) bool {
	return slices.ContainsFunc(l.mounts, func(m Mount) bool { return m.LV == name })
}

func (l *lvm) isOpenByProcess(name string) bool {
	return slices.ContainsFunc(l.processes, func(p Process) bool { return p.LV == name })
}

// deviceOpen is what LVM reports: of a thin pool also that volumes in it are
// active, and of a thick origin not that its snapshots are.
func (l *lvm) deviceOpen(g *group, lv *LogicalVolume) bool {
	return l.checkNotInUse(g, lv) != nil || lv.Active && lv.Type == thinPool && g.hasActiveThin(lv)
}

// hasActiveThin reports whether a thin volume in a pool is active.
func (g *group) hasActiveThin(pool *LogicalVolume) bool {
	return slices.ContainsFunc(g.lvs, func(lv *LogicalVolume) bool { return lv.Pool == pool.Name && lv.Active })
}

// snapshots returns the thick snapshots of an origin.
func (g *group) snapshots(origin *LogicalVolume) []*LogicalVolume {
	var s []*LogicalVolume
	for _, lv := range g.dependants[origin.Name] {
		if lv.Type == thickSnapshot {
			s = append(s, lv)
		}
	}
	return s
}

// externalClones returns the thin volumes for which a logical volume is the external
// origin: those outside of its own thin pool.
func (g *group) externalClones(origin *LogicalVolume) []*LogicalVolume {
	var clones []*LogicalVolume
	for _, lv := range g.dependants[origin.Name] {
		if lv.Type == thin && lv.Pool != origin.Pool {
			clones = append(clones, lv)
		}
	}
	return clones
}

// deviceName is the device-mapper name.
func deviceName(vg, lv string) string {
	double := func(s string) string { return strings.ReplaceAll(s, "-", "--") }
	return double(vg) + "-" + double(lv)
}

// run runs a command.
func (l *lvm) run(argv []string) (host.Output, error) {
	c := &command{lvm: l}
	c.run(argv)
	out := host.Output{Stdout: []byte(c.stdout.String()), Stderr: c.stderr.String()}
	if c.code != 0 {
		return out, &host.CommandError{Argv: argv, ExitCode: c.code, Stderr: out.Stderr}
	}
	return out, nil
}
