package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/lastgood"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/publicurl"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
	"github.com/volreconciler/volreconciler/pkg/supportbundle"
)

const (
	unitName = "volreconciler.service"
	// journalLines is how much of the agent's log is collected.
	journalLines = "20000"
	// maxConfigfs is how many paths of configfs are listed.
	maxConfigfs = 200_000
	// nodePart is the captured node, of which the plan is made.
	nodePart = "node.yaml"
)

// collector collects the parts of a support bundle.
type collector struct {
	settings *settings
	// problem is what is wrong with the settings; nil: nothing.
	problem error
	// machine is what is looked at; nil: that of the settings.
	machine host.Host
}

type files = []supportbundle.File

// parts are all parts, the quick ones first.
func (c collector) parts() []supportbundle.Part {
	return []supportbundle.Part{
		c.part("versions.txt", "versions of the agent, the kernel, LVM and the other programs that the agent runs", c.versions),
		c.part("settings.yaml", "settings of this command, from flags, environment and configuration file", c.settingsInEffect),
		{Name: "specs", About: "spec files, without comments and unknown fields", Read: c.specs},
		c.part("identities.json", "what the agent remembers of logical volumes", func(context.Context) (string, error) {
			data, err := os.ReadFile(c.settings.memory())
			return string(data), err
		}),
		c.part("agent/status.json", "status of all objects, from the running agent", c.agent("/v1/status")),
		c.part("agent/plan.json", "what the last pass had to do, from the running agent", c.agent("/v1/plan")),
		c.part("agent/events.json", "the last 1,000 events, from the running agent", c.agent("/v1/events")),
		c.part("agent/metrics.txt", "metrics, from the running agent", c.agent("/metrics")),
		c.part("unit.txt", "state of the systemd unit", c.run(supportbundle.Text, "systemctl", "show", unitName,
			"--property=LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStartTimestamp,ExecMainStatus,MemoryCurrent,FragmentPath,DropInPaths")),
		c.part("journal.txt", "the agent's log in the journal", c.run(supportbundle.Text, "journalctl", "--unit="+unitName,
			"--lines="+journalLines, "--output=short-iso-precise", "--no-pager")),
		c.part("mounts.txt", "mounted file systems", func(context.Context) (string, error) {
			text, err := c.read("/proc/mounts")
			return supportbundle.Mounts(text), err
		}),
		c.part("lsblk.txt", "block devices", c.run(supportbundle.Text, "lsblk", "--output=NAME,KNAME,TYPE,SIZE,RO,FSTYPE,MOUNTPOINT,MODEL,LOG-SEC,PHY-SEC")),
		c.part("dmsetup.txt", "tables of device-mapper, without those that may hold keys", c.run(supportbundle.MapperTable, "dmsetup", "table")),
		c.part("configfs.txt", "paths in configfs of LIO and nvmet, without their contents", c.configfs),
		c.part("lvm/diff.conf", "settings of LVM that differ from its defaults", c.run(supportbundle.Text, "lvm", "lvmconfig", "--typeconfig", "diff")),
		c.part("lvm/full.conf", "all settings of LVM", c.run(supportbundle.Text, "lvm", "lvmconfig", "--typeconfig", "full")),
		c.part("lvm/pvs.txt", "physical volumes", c.run(supportbundle.Text, "lvm", "pvs", "--all")),
		c.part("lvm/vgs.txt", "volume groups", c.run(supportbundle.Text, "lvm", "vgs", "--options=+vg_mda_size,vg_mda_free,vg_tags")),
		c.part("lvm/lvs.txt", "logical volumes", c.run(supportbundle.Text, "lvm", "lvs", "--all", "--options=+lv_health_status,lv_when_full,devices,lv_tags")),
		c.part(nodePart, "the node, as capture prints it", c.node),
		{Name: "plan.json", About: "the plan for that node", Read: c.plan},
	}
}

// part is a part with one entry.
func (c collector) part(name, about string, read func(context.Context) (string, error)) supportbundle.Part {
	return supportbundle.Part{Name: name, About: about, Read: func(ctx context.Context, _ func(string) []byte) (files, error) {
		text, err := read(ctx)
		if text == "" && err != nil {
			return nil, err
		}
		return files{{Name: name, Data: []byte(text)}}, err
	}}
}

// openMachine returns the machine to look at.
func (c collector) openMachine() (host.Host, error) {
	if c.machine != nil {
		return c.machine, nil
	}
	return c.settings.openBackend(nil)
}

// read returns the content of a file that is not the agent's.
func (c collector) read(file string) (string, error) {
	machine, err := c.openMachine()
	if err != nil {
		return "", err
	}
	data, err := machine.ReadFile(file)
	return string(data), err
}

// run returns a function that returns what a command prints, as redact leaves it.
func (c collector) run(redact func(string) string, argv ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		machine, err := c.openMachine()
		if err != nil {
			return "", err
		}
		out, err := machine.Run(ctx, argv...)
		return redact(string(out.Stdout)), err
	}
}

// agent returns a function that returns what the agent answers. It has no passwords as it is.
func (c collector) agent(path string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		data, err := statusapi.NewClient(c.settings.socket()).Get(ctx, path)
		return supportbundle.Forms(string(data)), agentError(err, c.settings.socket())
	}
}

// versions returns the versions of all that matters. A program that is missing is an error.
func (c collector) versions(ctx context.Context) (string, error) {
	var text strings.Builder
	var errs []error
	add := func(what, said string, err error) {
		if said = strings.TrimSpace(said); said != "" {
			fmt.Fprintf(&text, "%s:\n    %s\n", what, strings.ReplaceAll(supportbundle.Text(said), "\n", "\n    "))
		}
		errs = append(errs, err)
	}
	add("agent", describeBuild(), nil)
	for _, file := range []string{"/proc/version", "/etc/os-release"} {
		said, err := c.read(file)
		add(file, said, err)
	}
	for _, argv := range [][]string{
		{"lvm", "version"}, {"dmsetup", "version"}, {"thin_delta", "--version"}, {"qemu-img", "--version"}, {"xz", "--version"}, {"systemctl", "--version"},
	} {
		said, err := c.run(supportbundle.Text, argv...)(ctx)
		add(strings.Join(argv, " "), said, err)
	}
	return text.String(), errors.Join(errs...)
}

// settingsInEffect returns the settings of this command. What a password is in is named, and not read. If there is no
// such file, what is written there may be the password itself.
func (c collector) settingsInEffect(context.Context) (string, error) {
	text := strings.Builder{}
	c.settings.all.VisitAll(func(f *pflag.Flag) {
		value, isFile := f.Value.String(), strings.HasSuffix(f.Name, "-file")
		switch {
		case value == f.DefValue:
			fmt.Fprintf(&text, "%s: %s # default", f.Name, value)
		case isFile && spec.CheckNamesFile(value) != nil:
			fmt.Fprintf(&text, "%s: %s # no existing file", f.Name, spec.Redacted)
		default:
			fmt.Fprintf(&text, "%s: %s", f.Name, publicurl.InValue(value))
		}
		text.WriteString("\n")
	})
	return supportbundle.Forms(text.String()), c.problem
}

// specs returns the spec files.
func (c collector) specs(context.Context, func(string) []byte) (files, error) {
	var all files
	var errs []error
	for _, f := range spec.RedactDir(c.settings.specs) {
		if f.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Name, f.Err))
			continue
		}
		all = append(all, supportbundle.File{Name: path.Join("specs", f.Name), Data: []byte(supportbundle.Forms(string(f.Data)))})
	}
	return all, errors.Join(errs...)
}

// node returns the captured node.
func (c collector) node(ctx context.Context) (string, error) {
	machine, err := c.openMachine()
	if err != nil {
		return "", err
	}
	data, err := captureFrom(ctx, machine)
	return string(data), err
}

// plan makes the plan for the captured node. Unlike the command it reads no password: the captured node has
// none to compare it with.
func (c collector) plan(ctx context.Context, soFar func(string) []byte) (files, error) {
	captured := soFar(nodePart)
	if captured == nil {
		return nil, errors.New("there is none without " + nodePart)
	}
	node, err := fakehost.Parse(captured)
	if err != nil {
		return nil, err
	}
	fake, err := fakehost.New(node)
	if err != nil {
		return nil, err
	}
	memory, err := reconcile.OpenMemory(c.settings.memory())
	if err != nil {
		return nil, err
	}
	ours, err := c.settings.knownInstallation()
	if err != nil {
		return nil, err
	}
	source := spec.NewSource(c.settings.specs, spec.Options{
		TargetPrefix: c.settings.targetPrefix, Redact: true, Log: logr.Discard(), Keeper: lastgood.ReadOnly(c.settings.lastGood()),
	})
	desired := source.Load(ctx)
	made := c.settings.planFor(desired, observe.New(fake).Observe(ctx, desired.ImagePaths()...), memory, ours, nil, c.settings.backend == backendTGT)
	var text strings.Builder
	if err := writePlan(&text, made, "json"); err != nil {
		return nil, err
	}
	return files{{Name: "plan.json", Data: []byte(supportbundle.Forms(text.String()))}}, ctx.Err()
}

// configfs lists what is in configfs. Contents are left out: passwords are among them.
func (c collector) configfs(ctx context.Context) (string, error) {
	machine, err := c.openMachine()
	if err != nil {
		return "", err
	}
	var lines []string
	var errs []error
	var walk func(dir string)
	walk = func(dir string) {
		if ctx.Err() != nil || len(lines) >= maxConfigfs {
			return
		}
		entries, err := machine.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // what is not there was removed, or is not loaded
			errs = append(errs, err)
		}
		slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			switch {
			case e.IsDir():
				lines = append(lines, name+"/")
				walk(name)
			case e.Type()&os.ModeSymlink != 0:
				target, err := machine.Readlink(name)
				lines, errs = append(lines, name+" -> "+target), append(errs, err)
			default:
				lines = append(lines, name)
			}
		}
	}
	walk(observe.LIODir)
	walk(observe.NVMetDir)
	if len(lines) >= maxConfigfs {
		errs = append(errs, fmt.Errorf("more than %d paths; the others are left out", maxConfigfs))
	}
	text := strings.Join(lines, "\n")
	if text != "" {
		text += "\n"
	}
	return text, errors.Join(errs...)
}
