package pvscan

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// device is a block device that may hold a physical volume.
type device struct {
	// name is the kernel's, as in sdb1, and path that of its node.
	name, path string
	// key changes when another device has the name.
	key string
	// writes is how much was written to it.
	writes string
	// troubled is true if the kernel says that it may not answer.
	troubled bool
	// names are its node and the links to it.
	names []string
	// partition is 0 for a whole disk. ids are by the words of the devices file, where
	// there is one.
	partition int
	ids       map[string]string
}

const blockDir = "/sys/class/block"

// never are devices that LVM does not look at, or that start to move when they are opened.
var never = regexp.MustCompile(`^(sr|fd|zram|mtdblock)\d`)

// plain are the names of devices that can be given to LVM.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.:!+-]+$`)

// sys reads sysfs, for one scan.
type sys struct {
	files  host.Files
	config config
	// own reports whether a target of this name is one of this machine.
	own     func(fabric, target string) bool
	mounted map[string]bool     // by major:minor
	links   map[string][]string // in /dev itself, by the device
	// filtered is called with each device that LVM's filters exclude; it may be nil.
	filtered func(device)
	// uuids are the device-mapper UUIDs that this scan has read, by the kernel's names. A node has
	// thousands of logical volumes, and each is also a holder of the disk that it lies on.
	uuids map[string]string
}

// candidates returns the devices that may hold physical volumes, without opening any.
func (s sys) candidates() ([]device, error) {
	entries, err := s.files.ReadDir(blockDir)
	if err != nil {
		return nil, err
	}
	s.uuids = map[string]string{}
	links, parents := map[string]string{}, map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		if !plain.MatchString(name) || never.MatchString(name) || s.isLVMsOwn(name) {
			continue
		}
		links[name], _ = s.files.Readlink(path.Join(blockDir, name))
		if !isDM(name) && s.text(name, "partition") != "" {
			parents[parentOf(links[name])] = true
		}
	}
	var all []device
	for _, e := range entries {
		name := e.Name()
		link, ok := links[name]
		if !ok || parents[name] || !s.mayHold(name, link) {
			continue
		}
		d := s.describe(name, link)
		switch {
		case s.config.accepts(d.names):
			all = append(all, d)
		case s.filtered != nil:
			s.filtered(d)
		}
	}
	return all, nil
}

func parentOf(link string) string { return path.Base(path.Dir(link)) }

// text reads an attribute of a block device; empty if there is none.
func (s sys) text(name, attribute string) string {
	data, err := s.files.ReadFile(path.Join(blockDir, name, attribute))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func (s sys) list(name, dir string) []string {
	entries, err := s.files.ReadDir(path.Join(blockDir, name, dir))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func isDM(name string) bool { return strings.HasPrefix(name, "dm-") }

// lvUUIDLength is that of the device-mapper UUID of a logical volume. LVM's inner layers
// have a longer one.
const lvUUIDLength = len("LVM-") + 2*uuidBytes

// uuid returns the device-mapper UUID of a device; empty if it has none.
func (s sys) uuid(name string) string {
	uuid, known := s.uuids[name]
	if !known {
		uuid = s.text(name, "dm/uuid")
		s.uuids[name] = uuid
	}
	return uuid
}

// isLVMsOwn reports whether a device is a logical volume, or a layer of one, in which LVM looks for no physical volume.
func (s sys) isLVMsOwn(name string) bool {
	if !isDM(name) {
		return false
	}
	uuid := s.uuid(name)
	return strings.HasPrefix(uuid, "LVM-") && (!s.config.scanLVs || len(uuid) != lvUUIDLength)
}

// mayHold reports whether LVM would look for a physical volume on a device.
func (s sys) mayHold(name, link string) bool {
	switch size := s.text(name, "size"); {
	case size == "", size == "0", s.text(name, "hidden") == "1":
		return false
	case s.mounted[s.text(name, "dev")], s.isPart(name), s.isOwnExport(name, link):
		return false
	}
	return isDM(name) || s.text(name, "partition") == "" || !s.isMember(parentOf(link))
}

// isMember reports whether a device is a path of a multipath device, or a member of an
// array. What is in it is that of the device above it.
func (s sys) isMember(name string) bool {
	return slices.ContainsFunc(s.list(name, "holders"), func(holder string) bool {
		return strings.HasPrefix(holder, "md") || strings.HasPrefix(s.uuid(holder), "mpath-")
	})
}

// isPart reports whether a device is only what another one is made of. A physical volume
// has no other devices above it than logical volumes.
func (s sys) isPart(name string) bool {
	holders := s.list(name, "holders")
	onLV := func(holder string) bool { return strings.HasPrefix(s.uuid(holder), "LVM-") }
	return len(holders) > 0 && !slices.ContainsFunc(holders, onLV) || s.isMember(name)
}

var iscsiSession = regexp.MustCompile(`/(session\d+)/`)

// isOwnExport reports whether a disk is an export of this machine that it has attached
// itself. Its content is the initiator's, and a target that is closed for a cutover keeps
// the disk from answering.
func (s sys) isOwnExport(name, link string) bool {
	for _, lower := range s.list(name, "slaves") {
		to, _ := s.files.Readlink(path.Join(blockDir, lower))
		if s.isOwnExport(lower, to) {
			return true
		}
	}
	if m := iscsiSession.FindStringSubmatch(link); m != nil {
		target, err := s.files.ReadFile(path.Join("/sys/class/iscsi_session", m[1], "targetname"))
		return err == nil && s.own("iscsi", strings.TrimSpace(string(target)))
	}
	if !strings.HasPrefix(name, "nvme") {
		return false
	}
	nqn := s.text(name, "device/subsysnqn")
	if nqn == "" {
		nqn = s.text(parentOf(link), "device/subsysnqn")
	}
	return nqn != "" && s.own("nvmet", nqn)
}

func (s sys) describe(name, link string) device {
	d := device{name: name, path: path.Join(devDir, strings.ReplaceAll(name, "!", "/"))}
	disk := name
	if part := s.text(name, "partition"); part != "" {
		disk = parentOf(link)
		d.partition, _ = strconv.Atoi(part) // it is a number
	}
	d.key = strings.Join([]string{s.text(name, "dev"), s.text(disk, "diskseq"), s.text(name, "size")}, " ")
	if stat := strings.Fields(s.text(name, "stat")); len(stat) > 6 {
		d.writes = stat[6]
	}
	d.troubled = s.isTroubled(disk)
	d.names = s.names(d)
	if s.config.devicesFile != "" {
		d.ids = s.ids(disk)
	}
	return d
}

// isTroubled reports whether the kernel says that a device may not answer: it is
// suspended, or its transport has gone. Of one that lies on others, all of them have.
func (s sys) isTroubled(name string) bool {
	if s.text(name, "dm/suspended") == "1" {
		return true
	}
	if state := s.text(name, "device/state"); state != "" && state != "running" && state != "live" {
		return true
	}
	lower := s.list(name, "slaves")
	return len(lower) > 0 && !slices.ContainsFunc(lower, func(l string) bool { return !s.isTroubled(l) })
}

// readLinks returns the links in /dev itself, which need not be udev's, by what they
// lead to.
func readLinks(files host.Files) map[string][]string {
	links := map[string][]string{}
	entries, _ := files.ReadDir(devDir) // without it udev's are left
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		link := path.Join(devDir, e.Name())
		if to, err := files.Readlink(link); err == nil {
			if !path.IsAbs(to) {
				to = path.Join(devDir, to)
			}
			links[to] = append(links[to], link)
		}
	}
	return links
}

// names returns the names that a filter may be about: the links are udev's, and those in
// /dev.
func (s sys) names(d device) []string {
	names := []string{d.path}
	if dm := s.text(d.name, "dm/name"); dm != "" {
		names = append(names, path.Join(devDir, "mapper", dm))
	}
	names = append(names, s.links[d.path]...)
	number, _, _ := strings.Cut(d.key, " ")
	data, err := s.files.ReadFile("/run/udev/data/b" + number)
	if err != nil {
		return names
	}
	for line := range strings.Lines(string(data)) {
		if link, ok := strings.CutPrefix(strings.TrimSpace(line), "S:"); ok {
			names = append(names, path.Join(devDir, link))
		}
	}
	return names
}

// idFiles are where the identities are that the devices file knows (lib/device/device_id.c).
var idFiles = []struct {
	idType string
	files  []string
}{
	{"sys_wwid", []string{"device/wwid", "wwid"}},
	{"sys_serial", []string{"device/serial", "serial"}},
	{"mpath_uuid", []string{"dm/uuid"}},
	{"crypt_uuid", []string{"dm/uuid"}},
	{"lvmlv_uuid", []string{"dm/uuid"}},
	{"md_uuid", []string{"md/uuid"}},
	{"loop_file", []string{"loop/backing_file"}},
}

func (s sys) ids(disk string) map[string]string {
	ids := map[string]string{}
	for _, id := range idFiles {
		for _, file := range id.files {
			if value := s.text(disk, file); value != "" {
				ids[id.idType] = value
				break
			}
		}
	}
	return ids
}
