package observe

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// Holders tells who holds block devices, as far as the kernel says: mounts in
// the agent's mount namespace, swap, and block devices on top, loop devices among them.
// Holders that are processes or kernel threads, LIO's backstores above all, are not
// among them.
//
// What cannot be read is left out: LVM reports whether a device is open at all.
type Holders struct {
	files  host.Files
	mounts map[string][]string // mount points by major:minor
	others map[string][]string // swap and loop devices by the kernel's name, as in dm-3
}

// ReadHolders reads the mounts, once for many devices.
func ReadHolders(h host.Files) Holders {
	hs := Holders{files: h, others: map[string][]string{}}
	if mountinfo, err := h.ReadFile("/proc/self/mountinfo"); err == nil {
		hs.mounts = parseMounts(string(mountinfo))
	}
	hs.addSwaps()
	hs.addLoops()
	return hs
}

// addSwaps reads /proc/swaps (proc_swaps(5)), whose first line is a heading.
func (hs Holders) addSwaps() {
	swaps, err := hs.files.ReadFile("/proc/swaps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(swaps)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "partition" {
			hs.add(unescape(f[0]), "used as swap")
		}
	}
}

// addLoops reads which devices loop devices serve. The kernel does not open those
// exclusively, and so does not list the loop devices among their holders.
func (hs Holders) addLoops() {
	devices, err := hs.files.ReadDir("/sys/block")
	if err != nil {
		return
	}
	for _, d := range devices {
		if !strings.HasPrefix(d.Name(), "loop") {
			continue
		}
		if file, err := readText(hs.files, "/sys/block/"+d.Name()+"/loop/backing_file"); err == nil && strings.HasPrefix(file, "/dev/") {
			hs.add(file, "behind loop device /dev/"+d.Name())
		}
	}
}

func (hs Holders) add(device, held string) {
	name := kernelNameOf(hs.files, device)
	hs.others[name] = append(hs.others[name], held)
}

// Of returns the holders of a device, as in "mounted on /mnt" and
// "dm-7 (vg1-root)".
func (hs Holders) Of(major, minor int) []string {
	var held []string
	dev := fmt.Sprintf("%d:%d", major, minor)
	for _, dir := range hs.mounts[dev] {
		held = append(held, "mounted on "+dir)
	}
	held = append(held, hs.others[fmt.Sprintf("dm-%d", minor)]...)
	upper, err := hs.files.ReadDir("/sys/dev/block/" + dev + "/holders")
	if err != nil {
		return held
	}
	for _, e := range upper {
		name := e.Name()
		if dm, err := hs.files.ReadFile("/sys/block/" + name + "/dm/name"); err == nil {
			name += " (" + strings.TrimSpace(string(dm)) + ")"
		}
		held = append(held, name)
	}
	return held
}

// parseMounts returns the mount points of each device, by major:minor, from
// mountinfo (proc_pid_mountinfo(5)).
func parseMounts(mountinfo string) map[string][]string {
	const device, mountPoint = 2, 4
	mounts := map[string][]string{}
	for line := range strings.Lines(mountinfo) {
		if f := strings.Fields(line); len(f) > mountPoint {
			mounts[f[device]] = append(mounts[f[device]], unescape(f[mountPoint]))
		}
	}
	return mounts
}

// unescape undoes the kernel's \ooo for white space and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
