package doctor

import (
	"path"
	"strings"
)

// kernel reads what the running kernel has.
func (g *gatherer) kernel(n needs) {
	k := &g.facts.Kernel
	k.Release = g.text("/proc/sys/kernel/osrelease")
	dir := "/lib/modules/" + k.Release
	builtin := moduleNames(g.text(dir + "/modules.builtin"))
	installed := moduleNames(g.text(dir + "/modules.dep"))
	k.NoneInstalled = !g.exists(dir + "/modules.dep")
	k.Modules, k.Loaded, k.Forbidden = map[string]bool{}, map[string]bool{}, map[string]string{}
	for _, m := range modulesFor(n, g.facts.TGT) {
		for _, name := range m.anyOf {
			k.Loaded[name] = builtin[name] || g.exists("/sys/module/"+name)
			k.Modules[name] = k.Loaded[name] || installed[name]
		}
	}
	k.LoadingDisabled = g.text("/proc/sys/kernel/modules_disabled") == "1"
	g.forbidden()
	for line := range strings.Lines(g.text("/proc/mounts")) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] == configFSDir && fields[2] == "configfs" {
			k.ConfigFS = true
		}
	}
	k.RDMA = g.names("/sys/class/infiniband")
}

// configFSDir is where the agent looks for the kernel's targets.
const configFSDir = "/sys/kernel/config"

// moduleNames are those in modules.builtin or modules.dep, in which each line begins with a path as
// kernel/drivers/md/dm-thin-pool.ko.xz. Dashes are underscores to the kernel.
func moduleNames(text string) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(text) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, _, _ := strings.Cut(path.Base(file), ".ko")
		names[underscored(name)] = true
	}
	return names
}

func underscored(module string) string { return strings.ReplaceAll(module, "-", "_") }

// forbidden looks for "install MODULE /bin/false" in modprobe.d(5). A blacklist is no obstacle: it concerns
// aliases alone.
func (g *gatherer) forbidden() {
	for _, dir := range []string{"/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"} {
		for _, name := range g.names(dir) {
			if !strings.HasSuffix(name, ".conf") {
				continue
			}
			for line := range strings.Lines(g.text(dir + "/" + name)) {
				fields := strings.Fields(line)
				if len(fields) == 3 && fields[0] == "install" && (path.Base(fields[2]) == "false" || path.Base(fields[2]) == "true") {
					g.facts.Kernel.Forbidden[underscored(fields[1])] = dir + "/" + name
				}
			}
		}
	}
}
