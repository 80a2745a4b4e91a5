package lio

import (
	"path"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// dbRoots are the directories that rtslib chooses: on Debian, and elsewhere. The last is
// made if none is there.
var dbRoots = []string{"/etc/rtslib-fb-target", "/etc/target"}

// Prepare is called once, before the first change. Where LIO is loaded already, it makes the
// directories in which the kernel keeps persistent reservations, and removes those of
// backstores that a crash left empty. Nothing that is exported is touched.
func (a *Actuator) Prepare() {
	hbas, err := a.children(observe.BackstoresDir)
	if err != nil || len(hbas) == 0 {
		return // without LIO, and with it as long as it holds nothing, there is time
	}
	a.prepareDBRoot()
	for _, hba := range hbas {
		if held, err := a.children(observe.HBADir(hba)); ondisk.OwnHBA(hba) && err == nil && len(held) == 0 {
			_ = a.host.Remove(observe.HBADir(hba))
		}
	}
}

// prepareDBRoot sees to it that the kernel can keep persistent reservations: without the
// directory an initiator that asks for that is refused. It is the one that rtslib would
// choose, unless somebody has chosen another one, and is set before the first backstore:
// the kernel takes none later.
//
// Nothing of it is a reason not to export anything. What cannot be kept is seen where it
// matters, see [observe.Reservations].
func (a *Actuator) prepareDBRoot() {
	a.loading.Lock()
	defer a.loading.Unlock()
	if dir, err := a.text(observe.DBRootFile); err == nil && dir == observe.DefaultDBRoot && !a.isDir(observe.ReservationsDir(dir)) {
		dir = a.chooseDBRoot()
		_ = a.makeDir(dir)
		// Without the newline older kernels keep the end of a longer name.
		_ = a.host.WriteFile(observe.DBRootFile, []byte(dir+"\n"))
	}
	dir, err := observe.ReadDBRoot(a.host)
	if err != nil || !path.IsAbs(dir) {
		return
	}
	if a.isDir(observe.ReservationsDir(dir)) && a.isDir(observe.ALUADir(dir)) {
		return
	}
	for _, d := range []string{dir, observe.ReservationsDir(dir), observe.ALUADir(dir)} {
		_ = a.makeDir(d)
	}
}

// chooseDBRoot prefers the directory in which something was kept: what rtslib would choose
// changes when it is installed.
func (a *Actuator) chooseDBRoot() string {
	for _, dir := range dbRoots {
		if kept, _ := a.host.ReadDir(observe.ReservationsDir(dir)); len(kept) > 0 {
			return dir
		}
	}
	for _, dir := range dbRoots {
		if a.isDir(dir) {
			return dir
		}
	}
	return dbRoots[len(dbRoots)-1]
}

func (a *Actuator) isDir(name string) bool {
	info, err := a.host.Lstat(name)
	return err == nil && info.IsDir()
}
