package observe

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// openers is what has a block device open without being among its [Holders].
type openers struct {
	// self is true if the agent does.
	self bool
	by   []string
}

// readOpeners looks for processes that have devices open, and for mounts in mount
// namespaces other than the agent's. devices are kernel names, as in dm-3, by their
// numbers, as in 253:3.
//
// It reads all of /proc, so it is only used if LVM says that a device is open and nothing
// else explains that. Processes end meanwhile: what cannot be read is left out.
func readOpeners(h host.Files, devices map[string]string) map[string]openers {
	found := map[string]openers{}
	entries, err := h.ReadDir("/proc")
	if err != nil {
		return found
	}
	self, _ := h.Readlink("/proc/self")
	ours, _ := h.Readlink("/proc/self/ns/mnt")
	namespaces := map[string]bool{ours: true, "": true}
	wanted := make(map[string]bool, len(devices))
	for _, device := range devices {
		wanted[device] = true
	}
	add := func(device, by string) {
		o := found[device]
		o.by = append(o.by, by)
		found[device] = o
	}
	for _, e := range entries {
		pid := e.Name()
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		for device := range openedBy(h, pid) {
			switch {
			case !wanted[device]:
			case isUdev(h, pid):
				// It reads what is new on a device, and closes it in a moment.
			case pid == self:
				o := found[device]
				o.self = true
				found[device] = o
			default:
				add(device, "open by "+processName(h, pid))
			}
		}
		namespace, _ := h.Readlink(path.Join("/proc", pid, "ns/mnt"))
		if namespaces[namespace] {
			continue
		}
		namespaces[namespace] = true
		mountinfo, err := h.ReadFile(path.Join("/proc", pid, "mountinfo"))
		if err != nil {
			continue
		}
		for number, dirs := range parseMounts(string(mountinfo)) {
			if device, wanted := devices[number]; wanted {
				add(device, fmt.Sprintf("mounted on %s in the mount namespace of %s", dirs[0], processName(h, pid)))
			}
		}
	}
	return found
}

// openedBy returns the device-mapper devices that a process has open.
func openedBy(h host.Files, pid string) map[string]bool {
	dir := path.Join("/proc", pid, "fd")
	fds, err := h.ReadDir(dir)
	if err != nil {
		return nil
	}
	var open map[string]bool
	for _, fd := range fds {
		if name, err := h.Readlink(path.Join(dir, fd.Name())); err == nil && strings.HasPrefix(name, "/dev/dm-") {
			if open == nil {
				open = map[string]bool{}
			}
			open[path.Base(name)] = true
		}
	}
	return open
}

// isUdev reports whether a process is one of udevd, which looks at every device that
// appears or that somebody has written to.
func isUdev(h host.Files, pid string) bool {
	command, _ := readText(h, path.Join("/proc", pid, "comm"))
	return command == "(udev-worker)" || command == "systemd-udevd"
}

func processName(h host.Files, pid string) string {
	command, err := readText(h, path.Join("/proc", pid, "comm"))
	if err != nil {
		return "process " + pid
	}
	return fmt.Sprintf("%s (process %s)", command, pid)
}

// addOpeners finds who has a device open, for the open devices that have neither a
// holder nor a target of ours.
//
// It returns the UUIDs of those for which it found nobody.
func addOpeners(h host.Files, s *State) (unexplained map[string]bool) {
	ours, others := servedDevices(h, *s)
	wanted := map[string]string{}
	for _, vg := range s.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if lv.Open && lv.Type != ThinPool && len(lv.HeldBy) == 0 && !ours[lv.kernelName()] {
				wanted[fmt.Sprintf("%d:%d", lv.Major, lv.Minor)] = lv.kernelName()
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	unexplained = map[string]bool{}
	openers := readOpeners(h, wanted)
	for _, vg := range s.VolumeGroups {
		for name, lv := range vg.LogicalVolumes {
			if wanted[fmt.Sprintf("%d:%d", lv.Major, lv.Minor)] == "" {
				continue
			}
			o := openers[lv.kernelName()]
			lv.OpenedBy = slices.Concat(others[lv.kernelName()], o.by)
			lv.OpenedBySelf = o.self
			vg.LogicalVolumes[name] = lv
			if len(lv.OpenedBy) == 0 && !o.self {
				unexplained[lv.UUID] = true
			}
		}
	}
	return unexplained
}

// A process that had a device open only for a moment, as udev does after each change of it,
// has ended when /proc is read, while LVM's report still says open. So LVM is asked again.
const (
	closeTries = 3
	closePause = 100 * time.Millisecond
)

// awaitClose asks LVM again, for a moment, whether logical volumes are open that nobody
// seems to have open.
func (o *Observer) awaitClose(ctx context.Context, s *State, unexplained map[string]bool) {
	for try := 0; try < closeTries && len(unexplained) > 0; try++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(closePause):
		}
		closed := map[string]bool{}
		for _, vg := range o.lvm.reader.read(ctx).groups {
			for _, lv := range vg.LogicalVolumes {
				if unexplained[lv.UUID] && !lv.Open {
					closed[lv.UUID] = true
					delete(unexplained, lv.UUID)
				}
			}
		}
		for _, vg := range s.VolumeGroups {
			for name, lv := range vg.LogicalVolumes {
				if closed[lv.UUID] {
					lv.Open = false
					vg.LogicalVolumes[name] = lv
				}
			}
		}
	}
}

// servedDevices returns the devices that our targets serve, and by what other devices are served.
func servedDevices(h host.Files, s State) (ours map[string]bool, others map[string][]string) {
	ours, others = map[string]bool{}, map[string][]string{}
	for name, b := range s.LIO.Backstores {
		if _, own := b.Owner(); own {
			ours[b.BlockDevice] = true
		} else if b.BlockDevice != "" {
			others[b.BlockDevice] = append(others[b.BlockDevice], "bound to backstore "+name)
		}
	}
	for _, targets := range []map[string]Target{s.NVMe, s.TGT} {
		for _, t := range targets {
			_, own := t.Owner()
			for n, l := range t.LUNs {
				device := kernelNameOf(h, l.Device)
				switch {
				case device == "":
				case own:
					ours[device] = true
				case t.Fabric == NVMe:
					others[device] = append(others[device], fmt.Sprintf("served as namespace %d of %s", n+1, t.Name))
				default:
					others[device] = append(others[device], fmt.Sprintf("served as LUN %d of %s by tgtd", n, t.Name))
				}
			}
		}
	}
	for _, by := range others {
		slices.Sort(by)
	}
	return ours, others
}

// kernelName is the kernel's name of the device of an active logical volume.
func (lv LogicalVolume) kernelName() string { return fmt.Sprintf("dm-%d", lv.Minor) }

// kernelNameOf returns the kernel's name of the device behind a path, as in dm-3; empty
// if there is none.
func kernelNameOf(h host.Files, device string) string {
	if device == "" {
		return ""
	}
	if target, err := h.Readlink(device); err == nil {
		device = target
	}
	return path.Base(device)
}
