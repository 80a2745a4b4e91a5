package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Gather completes facts with what is in the files of a machine, and with what a few programs print. The
// caller has filled in what comes from elsewhere: Set, TGT, Listen, State, Addresses, Paths, Agent and the
// clock. It changes nothing. What cannot be read is in Unread.
func Gather(ctx context.Context, h host.Host, f Facts) Facts {
	g := &gatherer{Host: h, facts: &f}
	need := needsOf(f.Set)
	g.lvm(ctx, need)
	f.Tools = CheckTools(ctx, h, f.Set)
	g.kernel(need)
	g.programs(need)
	g.services(need)
	g.listeners()
	f.BindV6Only = g.text("/proc/sys/net/ipv6/bindv6only") == "1"
	f.Watches, _ = strconv.Atoi(g.text("/proc/sys/fs/inotify/max_user_watches")) // 0: unknown
	// systemd-udevd(8) and eudev listen here for udevadm(8).
	f.Udev = g.exists("/run/udev/control")
	return f
}

// gatherer reads a machine.
type gatherer struct {
	host.Host
	facts *Facts
}

// unread notes that something could not be read.
func (g *gatherer) unread(what string, err error) {
	g.facts.Unread = append(g.facts.Unread, fmt.Sprintf("%s: %v", what, err))
}

// text is what a file holds, without blanks around it; empty if it cannot be read.
func (g *gatherer) text(path string) string {
	data, _ := g.ReadFile(path) // what is missing is a fact too
	return strings.TrimSpace(string(data))
}

func (g *gatherer) exists(path string) bool {
	_, err := g.Lstat(path)
	return err == nil
}

// names are those of the files in a directory; none if it cannot be read.
func (g *gatherer) names(dir string) []string {
	entries, _ := g.ReadDir(dir) // what is missing is a fact too
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// programs looks for the programs that the specs need.
func (g *gatherer) programs(n needs) {
	g.facts.Programs = map[string]bool{}
	for _, p := range programsFor(n, g.facts.LVM.Config) {
		g.facts.Programs[p.name] = g.hasProgram(p.name)
	}
	if name := dmeventd(g.facts.LVM.Config); name != "" {
		g.facts.Programs[name] = g.hasProgram(name)
	}
}

func (g *gatherer) hasProgram(name string) bool {
	if strings.HasPrefix(name, "/") {
		return g.exists(name)
	}
	for _, dir := range host.SearchPath {
		if g.exists(dir + "/" + name) {
			return true
		}
	}
	return false
}

// listeners finds the TCP sockets that listen, and whose they are.
func (g *gatherer) listeners() {
	sockets, err := observe.ReadSockets(g, observe.SocketListening)
	if err != nil {
		g.unread("listening TCP sockets", err)
		return
	}
	owners := map[string]int{} // by what their link in /proc/PID/fd says
	for _, s := range sockets {
		if s.Inode != 0 {
			owners[fmt.Sprintf("socket:[%d]", s.Inode)] = 0
		}
	}
	for _, pid := range g.processes() {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		for _, fd := range g.names(dir) {
			link, _ := g.Readlink(dir + "/" + fd) // it may be closed by now
			if _, wanted := owners[link]; wanted {
				owners[link] = pid
			}
		}
	}
	for _, s := range sockets {
		l := Listener{At: s.Local, PID: owners[fmt.Sprintf("socket:[%d]", s.Inode)]}
		if l.PID != 0 {
			l.Process = g.text(fmt.Sprintf("/proc/%d/comm", l.PID))
		}
		g.facts.Listeners = append(g.facts.Listeners, l)
	}
}

// processes are the numbers of all processes.
func (g *gatherer) processes() []int {
	var pids []int
	for _, name := range g.names("/proc") {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
