package observe

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// With at least this many targets, a check of several devices takes most of its time for
// listing targets: the list is then reused for a moment. With fewer targets, it is read
// for each device.
const (
	manyTargets = 1000
	listHolds   = time.Second
)

// Users says who uses a block device, right before it is exported. It is for concurrent
// use.
type Users struct {
	files host.Files

	mu sync.Mutex
	// foreign are the targets that are not ours by the kernel names of their devices, as
	// they were read at a time; zero: they must not be reused for another device.
	foreign map[string][]string
	readAt  time.Time
}

// NewUsers returns the users of the machine's devices.
func NewUsers(h host.Files) *Users { return &Users{files: h} }

// Of returns who uses a block device, such as dm-3 with the numbers 253:3, as far
// as can be seen without LVM: its holders, processes, and targets that are not ours.
// Those of processes with this name are left out.
func (u *Users) Of(device, except string) []string {
	number, err := readText(u.files, path.Join("/sys/class/block", device, "dev"))
	if err != nil {
		return nil
	}
	var major, minor int
	if _, err := fmt.Sscanf(number, "%d:%d", &major, &minor); err != nil {
		return nil
	}
	users := ReadHolders(u.files).Of(major, minor)
	users = append(users, u.foreignOn(device)...)
	for _, by := range readOpeners(u.files, map[string]string{number: device})[device].by {
		if except == "" || !strings.HasPrefix(by, "open by "+except+" ") {
			users = append(users, by)
		}
	}
	return users
}

// foreignOn returns the targets on a device that are not ours. Before it says that there
// are any it looks again.
func (u *Users) foreignOn(device string) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Since(u.readAt) < listHolds && len(u.foreign[device]) == 0 {
		return nil
	}
	var targets int
	u.foreign, targets = readForeignTargets(u.files)
	if u.readAt = time.Now(); targets < manyTargets {
		u.readAt = time.Time{}
	}
	return u.foreign[device]
}

// readForeignTargets returns the backstores and namespaces that are not ours, by the kernel
// names of their devices, and how many backstores and subsystems there are in all. What
// cannot be read is left out.
func readForeignTargets(h host.Files) (on map[string][]string, targets int) {
	on = map[string][]string{}
	hbas, _ := readDirIfThere(h, BackstoresDir)
	for _, hba := range hbas {
		names, _ := readDirIfThere(h, HBADir(hba))
		targets += len(names)
		for _, name := range names {
			b := Backstore{HBA: hba, Name: name}
			if _, made := b.Owner(); !made { // it may be adopted
				b.Mark, _ = ReadBackstoreMark(h, hba, name)
			}
			if _, ours := b.Owner(); ours {
				continue
			}
			if device, bound := backstoreDevice(h, hba, name); bound {
				on[device] = append(on[device], "bound to backstore "+b.Path())
			}
		}
	}
	nqns, _ := readDirIfThere(h, SubsystemsDir)
	targets += len(nqns)
	for _, nqn := range nqns {
		if model, err := readText(h, path.Join(SubsystemDir(nqn), "attr_model")); err != nil || model == ondisk.SubsystemModel {
			continue
		}
		luns, _ := readNamespaces(h, nqn)
		for n, l := range luns {
			if device := kernelNameOf(h, l.Device); device != "" {
				on[device] = append(on[device], fmt.Sprintf("served as namespace %d of %s", n+1, nqn))
			}
		}
	}
	for _, by := range on {
		slices.Sort(by)
	}
	return on, targets
}
