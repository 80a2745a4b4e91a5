package reconcile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// watchedMachine is a machine that people, and the agent, change at random.
type watchedMachine struct {
	t      *rapid.T
	host   *fakehost.Host
	events *fakehost.Events
	// remembering remembers what it has read. What is changed through own it is told.
	remembering *observe.Observer
	own         host.Host
	// meanwhile, if not nil, happens while the machine is read, before or after so many calls; if
	// lvm is true, such a call to LVM.
	meanwhile func()
	lvm       bool
	call      int
	mu        sync.Mutex
	// silent is true if also that happens which nothing announces.
	silent bool
}

// Names of what there may be.
const (
	configfsDir = observe.ConfigFS + "/"
	hostNQN     = "nqn.2014-08.org.nvmexpress:uuid:h"
	initiator   = "iqn.1994-05.org.example:i"
)

var (
	lvNames    = []string{"vg0/a", "vg0/b", "vg0/t", "vg1/c"}
	backstores = []string{"iblock_900/volreconciler:volume:a", "iblock_901/volreconciler:volume:b", "iblock_0/theirs"}
	targets    = []string{"iqn.2003-01.org.example:a", "iqn.2003-01.org.example:b"}
	nqns       = []string{"nqn.2003-01.org.example:a", "nqn.2003-01.org.example:b"}
)

func newWatchedMachine(t *rapid.T) *watchedMachine {
	group := func(name string) fakehost.VolumeGroup {
		return fakehost.VolumeGroup{Name: name, ExtentSize: 4 << 20, Extents: 500}
	}
	h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{group("vg0"), group("vg1")}})
	if err != nil {
		t.Fatal(err)
	}
	m := &watchedMachine{t: t, host: h, silent: rapid.Bool().Draw(t, "silent")}
	m.begin()
	m.do(m.host, "lvcreate -y --type thin-pool -Zy -L 64m -n p vg0", "lvcreate -y -n a -L 16m vg0", "lvcreate -y -n b -L 16m vg0",
		"lvcreate -y -V 16m -T vg0/p -n t", "lvcreate -y -n c -L 16m vg1")
	if rapid.Bool().Draw(t, "loaded") {
		m.do(m.host, "modprobe target_core_iblock iscsi_target_mod nvmet nvmet_tcp", "mkdir target/iscsi")
	}
	if rapid.Bool().Draw(t, "populated") {
		yes := func(_ string, all []string) string { return all[0] }
		for i := range 2 {
			m.do(m.host, backstoreLines(backstores[i], lvNames[i])...)
			m.do(m.host, targetLines(targets[i], backstores[i], yes)...)
			m.do(m.host, subsystemLines(nqns[i], "vg0/t", yes)...)
		}
		m.tell(m.events.Take()...)
		m.observe(m.remembering)
	}
	return m
}

// begin starts an agent.
func (m *watchedMachine) begin() {
	if m.events != nil {
		m.host.Unwatch(m.events)
	}
	m.events = m.host.Watch()
	o := observe.New(&fakehost.Tap{Host: m.host, Before: m.reads, After: func(c fakehost.Call, err error) error { return errors.Join(err, m.reads(c)) }})
	o.Remember()
	m.own = &host.Announced{
		Host:    fakehost.Hand{Host: m.host, By: watch.Process{PID: 1, Command: "volreconciler", Own: true}},
		Changed: func(path string) { o.Forget(observe.Part(path)) },
		Ran:     func() { o.Forget(observe.AllOfLVM) },
	}
	m.remembering = o
	m.observe(o)
}

// reads is called before and after each read.
func (m *watchedMachine) reads(c fakehost.Call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.meanwhile == nil || m.lvm && c.Argv == nil {
		return nil
	}
	if m.call--; m.call < 0 {
		f := m.meanwhile
		m.meanwhile = nil
		f()
	}
	return nil
}

// do runs commands of a shell. Some fail, as they would for anybody.
func (m *watchedMachine) do(h host.Host, lines ...string) {
	for _, line := range lines {
		words := strings.Fields(line)
		at := func(i int) string { return configfsDir + words[i] }
		var err error
		switch words[0] {
		case "mkdir":
			err = h.Mkdir(at(1))
		case "rm":
			err = h.Remove(at(1))
		case "ln":
			err = h.Symlink(at(1), at(2))
		case "echo":
			err = h.WriteFile(at(2), []byte(words[1]+"\n"))
		default:
			_, err = h.Run(context.Background(), words...)
		}
		m.t.Logf("%s: %v", line, err)
	}
}

// observe reads the machine with an observer.
func (m *watchedMachine) observe(o *observe.Observer) observe.State {
	s := o.Observe(context.Background())
	lookout := lookout{events: m.events}
	lookout.follow(s)
	return s
}

// really is what the machine is.
func (m *watchedMachine) really() observe.State {
	return observe.New(m.host).Observe(context.Background())
}

// tell makes the observer forget what events say.
func (m *watchedMachine) tell(events ...watch.Event) {
	for _, e := range events {
		m.t.Logf("event %s %s", e.Source, e.Path)
	}
	l := lookout{observer: m.remembering}
	l.forget(events)
}

// happen lets something happen.
func (m *watchedMachine) happen() {
	by, lines := m.next()
	m.do(by, lines...)
}

// next returns what happens next, and who does it.
func (m *watchedMachine) next() (by host.Host, lines []string) {
	by = m.host
	if rapid.IntRange(0, 3).Draw(m.t, "who") == 0 {
		m.t.Log("the agent:")
		by = m.own
	}
	pick := func(what string, from []string) string { return rapid.SampledFrom(from).Draw(m.t, what) }
	all := []func() []string{
		func() []string { return lvmLines(pick("lv", lvNames), pick) },
		func() []string { return backstoreLines(pick("backstore", backstores), pick("lv", lvNames)) },
		func() []string { return targetLines(pick("target", targets), pick("backstore", backstores), pick) },
		func() []string { return subsystemLines(pick("subsystem", nqns), pick("lv", lvNames), pick) },
		func() []string { return m.anyLine(pick) },
		func() []string { return m.anyLine(pick) },
		func() []string { return m.moveVG() },
		func() []string { return m.wipe(pick("wiped", []string{"target/", "target/iscsi/", "nvmet/"})) },
		func() []string { return []string{"modprobe " + pick("module", []string{"target_core_mod", "nvmet"})} },
	}
	if m.silent {
		all = append(all, func() []string { return m.unannounced(pick) }, func() []string { return m.unannounced(pick) })
	}
	return by, rapid.SampledFrom(all).Draw(m.t, "what")()
}

func lvmLines(lv string, pick func(string, []string) string) []string {
	vg, name, _ := strings.Cut(lv, "/")
	return []string{pick("command", []string{
		"lvchange -an " + lv, "lvchange -ay -K " + lv, "lvchange --addtag x " + lv, "lvchange --deltag x " + lv, "lvextend -L +4m " + lv,
		"lvremove -y " + lv, "lvcreate -y -n " + name + " -L 16m " + vg, "lvcreate -y -an -Zn -Wn -n " + name + " -L 16m " + vg,
		"lvrename " + lv + " " + vg + "/moved", "lvrename " + vg + "/moved " + lv, "lvchange -pr " + lv, "lvchange -prw " + lv,
		"lvcreate -y -s -n s-" + name + " -L 8m " + lv, "lvremove -y " + vg + "/s-" + name, "lvchange -kn " + lv,
		"lvs " + lv, "lvcreate -y -V 16m -T vg0/p -n t", "lvchange --addtag " + ondisk.TagPrefix + "kind=volume --addtag " + ondisk.TagPrefix + "name=a " + lv,
	})}
}

func backstoreLines(backstore, lv string) []string {
	dir := "target/core/" + backstore
	return []string{"modprobe target_core_iblock", "mkdir " + path.Dir(dir), "mkdir " + dir, "echo udev_path=/dev/" + lv + " " + dir + "/control",
		"echo serial-" + path.Base(lv) + " " + dir + "/wwn/vpd_unit_serial", "echo 1 " + dir + "/enable"}
}

func targetLines(target, backstore string, pick func(string, []string) string) []string {
	dir := "target/iscsi/" + target
	tpg := dir + "/tpgt_1"
	lun := "lun_" + pick("lun", []string{"0", "1"})
	lines := []string{"mkdir target/iscsi", "mkdir " + dir, "mkdir " + tpg, "mkdir " + tpg + "/lun/" + lun, "ln target/core/" + backstore + " " + tpg + "/lun/" + lun + "/x",
		"mkdir " + tpg + "/acls/" + initiator, "mkdir " + tpg + "/acls/" + initiator + "/" + lun,
		"ln " + tpg + "/lun/" + lun + " " + tpg + "/acls/" + initiator + "/" + lun + "/x", "mkdir " + tpg + "/np/127.0.0.1:3260", "echo 1 " + tpg + "/enable"}
	if pick("ours", []string{"yes", "no"}) == "yes" {
		lines = append(lines, "echo "+ondisk.TargetMark(path.Base(target))+" "+tpg+"/auth/userid_mutual")
	}
	return lines
}

func subsystemLines(nqn, lv string, pick func(string, []string) string) []string {
	dir := "nvmet/subsystems/" + nqn
	ns := dir + "/namespaces/1"
	lines := []string{"modprobe nvmet_tcp", "mkdir " + dir}
	if pick("ours", []string{"yes", "no"}) == "yes" {
		lines = append(lines, "echo "+ondisk.SubsystemModel+" "+dir+"/attr_model", "echo "+ondisk.SubsystemSerial(nqn, "a")+" "+dir+"/attr_serial")
	}
	port := "nvmet/ports/" + pick("port", []string{"1", "2"})
	return append(lines, "mkdir "+ns, "echo /dev/"+lv+" "+ns+"/device_path", "echo 1 "+ns+"/enable", "mkdir nvmet/hosts/"+hostNQN,
		"ln nvmet/hosts/"+hostNQN+" "+dir+"/allowed_hosts/"+hostNQN,
		"mkdir "+port, "echo tcp "+port+"/addr_trtype", "echo ipv4 "+port+"/addr_adrfam", "echo 127.0.0.1 "+port+"/addr_traddr",
		"echo 442"+path.Base(port)+" "+port+"/addr_trsvcid", "ln "+dir+" "+port+"/subsystems/"+nqn)
}

// entries are what there is in configfs.
func (m *watchedMachine) entries() (all []fakehost.Entry) {
	n := m.host.Node()
	for _, e := range n.ConfigFS {
		e.Path = path.Join("target", e.Path)
		all = append(all, e)
	}
	for _, e := range n.NVMet {
		e.Path = path.Join("nvmet", e.Path)
		all = append(all, e)
	}
	return all
}

// anyLine removes or writes something of what there is.
func (m *watchedMachine) anyLine(pick func(string, []string) string) []string {
	var lines []string
	for _, e := range m.entries() {
		if e.Text == nil {
			lines = append(lines, "rm "+e.Path)
			continue
		}
		for _, value := range []string{"0", "1", "DHHC-1:00:x:"} {
			lines = append(lines, "echo "+value+" "+e.Path)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return []string{pick("any", lines)}
}

// wipe removes everything below a directory, symlinks first.
func (m *watchedMachine) wipe(below string) (lines []string) {
	entries := m.entries()
	for _, links := range []bool{true, false} {
		for _, e := range slices.Backward(entries) {
			if strings.HasPrefix(e.Path, below) && (e.Link != "") == links && e.Text == nil {
				lines = append(lines, "rm "+e.Path)
			}
		}
	}
	return lines
}

// moveVG takes the disk of vg1 away, or brings another.
func (m *watchedMachine) moveVG() []string {
	err := m.host.Edit(func(n *fakehost.Node) {
		if i := slices.IndexFunc(n.VolumeGroups, func(vg fakehost.VolumeGroup) bool { return vg.Name == "vg1" }); i >= 0 {
			n.VolumeGroups = slices.Delete(n.VolumeGroups, i, i+1)
			return
		}
		n.VolumeGroups = append(n.VolumeGroups, fakehost.VolumeGroup{Name: "vg1", ExtentSize: 4 << 20, Extents: 500})
	})
	m.t.Logf("vg1 comes or goes: %v", err)
	return nil
}

// unannounced lets something happen of which nobody is told.
func (m *watchedMachine) unannounced(pick func(string, []string) string) []string {
	target, nqn := pick("target", targets), pick("nqn", nqns)
	all := map[string]func() error{
		"login":    func() error { return m.host.Login(target, initiator) },
		"dynamic":  func() error { return m.host.Login(target, initiator+"2") },
		"logout":   func() error { return m.host.Logout(target, initiator) },
		"connect":  func() error { return m.host.Login(nqn, hostNQN) },
		"register": func() error { return m.host.Register(target, initiator, 0, 1, false) },
		"full": func() error {
			return m.host.Edit(func(n *fakehost.Node) { n.VolumeGroups[0].LogicalVolumes[0].DataPercent += 0.1 })
		},
		"mount": func() error {
			return m.host.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/b", Dir: "/mnt"}} })
		},
		"unmount": func() error { return m.host.Edit(func(n *fakehost.Node) { n.Mounts = nil }) },
		"processes": func() error {
			return m.host.Edit(func(n *fakehost.Node) { n.Processes = []fakehost.Process{{PID: 9, Command: "dd", LV: "vg0/a"}} })
		},
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	what := pick("unannounced", names)
	m.t.Logf("%s: %v", what, all[what]())
	return nil
}

// announced is a state without what changes in silence: who is connected, which keys initiators have
// registered, how full something is, and who has a device open that is no target of the kernel's.
// These are right after an audit, and whenever the rest of the same object, or of LVM, is read.
func announced(s observe.State) observe.State {
	groups := map[string]observe.VolumeGroup{}
	for name, vg := range s.VolumeGroups {
		lvs := map[string]observe.LogicalVolume{}
		for name, lv := range vg.LogicalVolumes {
			lv.DataPercent, lv.MetadataPercent, lv.Open, lv.HeldBy, lv.OpenedBy, lv.OpenedBySelf = 0, 0, false, nil, nil, false
			lvs[name] = lv
		}
		vg.LogicalVolumes = lvs
		groups[name] = vg
	}
	s.VolumeGroups = groups
	for name, b := range s.LIO.Backstores {
		b.Registrations = nil
		s.LIO.Backstores[name] = b
	}
	for _, all := range []map[string]observe.Target{s.LIO.ISCSI, s.NVMe} {
		for name, target := range all {
			target.Connections, target.DynamicSessions, target.Sessions = nil, nil, 0
			for i, acl := range target.ACLs {
				acl.LoggedIn = false
				target.ACLs[i] = acl
			}
			all[name] = target
		}
	}
	return s
}

// difference says how a state differs from what the machine is; empty: not at all, as far as that
// is announced.
func (m *watchedMachine) difference(got, want observe.State) string {
	if m.silent {
		got, want = announced(got), announced(want)
	}
	return difference(got, want)
}

func difference(got, want observe.State) string {
	if reflect.DeepEqual(got, want) {
		return ""
	}
	a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	from := max(at-300, 0)
	return "it is taken for\n" + a[from:min(len(a), at+200)] + "\nand is\n" + b[from:min(len(b), at+200)]
}
