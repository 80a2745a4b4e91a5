package scenario

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/actuators/backups"
	"github.com/volreconciler/volreconciler/pkg/actuators/backups/fakebackups"
	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/lio"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/nvmet"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Fake is a machine in memory with its directory of specs.
type Fake struct {
	*fakehost.Host
	files map[string]string
	dir   string // holds the specs and what the agent remembers
	// repositories are those that restic knows.
	repositories *fakerestic.Restic
	// now is the time; zero: the real one.
	now time.Time
}

var _ Machine = (*Fake)(nil)

// NewFake returns a machine that holds a node, in a directory of its own.
func NewFake(n fakehost.Node, dir string) (*Fake, error) {
	h, err := fakehost.New(n)
	if err != nil {
		return nil, err
	}
	f := &Fake{Host: h, files: map[string]string{}, dir: dir, repositories: fakerestic.NewRestic()}
	return f, os.MkdirAll(filepath.Join(dir, "specs"), 0o700)
}

// Empty is a node with nothing but the volume group vg0.
func Empty() fakehost.Node {
	return fakehost.Node{
		APIVersion: fakehost.APIVersion, Kind: "Node",
		VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", UUID: "vg0000-0000-0000-0000-0000-0000-000000", ExtentSize: 4 << 20, Extents: 2047}},
	}
}

// Begin does what a step begins with, before the agent runs.
func (f *Fake) Begin(ctx context.Context, s Step, before status.Report) error {
	files := maps.Clone(s.Files)
	if s.Answer != nil {
		files = s.Answer(before)
	}
	for name, text := range files {
		path := filepath.Join(f.dir, "specs", name)
		if text == "" {
			delete(f.files, name)
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		f.files[name] = text
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	if s.At != "" {
		at, err := time.Parse(time.RFC3339, s.At)
		if err != nil {
			return err
		}
		f.setClock(at)
	}
	if s.ByHand != nil {
		return s.ByHand(ctx, f)
	}
	return nil
}

// setClock sets the clock of the machine, which is stopped.
func (f *Fake) setClock(at time.Time) {
	f.now = at
	f.Clock = func() time.Time { return at }
}

// Write puts text into a logical volume.
func (f *Fake) Write(_ context.Context, lv, text string) error {
	found := false
	err := f.Edit(func(n *fakehost.Node) {
		for _, vg := range n.VolumeGroups {
			for i := range vg.LogicalVolumes {
				if vg.Name+"/"+vg.LogicalVolumes[i].Name == lv {
					vg.LogicalVolumes[i].Content, found = text, true
				}
			}
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("no logical volume %s", lv)
	}
	return err
}

// Mount mounts a logical volume.
func (f *Fake) Mount(_ context.Context, lv, dir string) error {
	return f.Edit(func(n *fakehost.Node) { n.Mounts = append(n.Mounts, fakehost.Mount{LV: lv, Dir: dir}) })
}

// Unmount undoes Mount.
func (f *Fake) Unmount(_ context.Context, dir string) error {
	return f.Edit(func(n *fakehost.Node) {
		n.Mounts = slices.DeleteFunc(n.Mounts, func(m fakehost.Mount) bool { return m.Dir == dir })
	})
}

// Login logs an initiator in.
func (f *Fake) Login(_ context.Context, target, initiator string) error {
	return f.Host.Login(target, initiator)
}

// Logout logs it out.
func (f *Fake) Logout(_ context.Context, target, initiator string) error {
	return f.Host.Logout(target, initiator)
}

// Reboot restarts the machine.
func (f *Fake) Reboot(context.Context) error {
	f.Host.Reboot()
	return nil
}

// Agent is the agent on a machine.
type Agent struct {
	dir    string
	host   host.Host
	restic restic.Runner
	clock  func() time.Time
	// Planned, if not nil, is called with every plan before it is carried out.
	Planned func(plan.Plan)
}

// Start returns an agent that sees the machine through a host, which may fail.
func (f *Fake) Start(h host.Host) *Agent {
	a := &Agent{dir: f.dir, host: h, restic: f.repositories, clock: f.Clock}
	if tap, tapped := h.(*fakehost.Tap); tapped {
		a.restic = tappedRestic{f.repositories, tap}
	}
	return a
}

// loop returns a main loop that has just begun, and the catalog of its repositories, which is to be closed.
func (a *Agent) loop() (*reconcile.Loop, *catalog.Catalog, error) {
	memory, err := reconcile.OpenMemory(filepath.Join(a.dir, "state", "identities.json"))
	if err != nil {
		return nil, nil, err
	}
	installation, err := installationIn(filepath.Join(a.dir, "state"))
	if err != nil {
		return nil, nil, err
	}
	with := restic.Repository{Runner: a.restic, Host: "scenario"}
	known, err := catalog.Open(filepath.Join(a.dir, "state", repositoriesFile), catalog.Options{With: with, Log: logr.Discard(), Clock: a.clock})
	if err != nil {
		return nil, nil, err
	}
	engine := fakehost.Engine{Devices: &fakehost.Tap{Host: a.host}}
	mover := jobs.New(a.host, lvm.New(a.host, a.host), engine, imageFiles{engine}, nil)
	mover.UseImageFiles(writtenFiles{engine})
	saver := fakebackups.Engine{Engine: engine, With: with}
	mover.UseBackups(&backups.Restorer{With: with, Write: saver.Write})
	kernel := lio.New(a.host)
	kernel.Prepare()
	return &reconcile.Loop{
		Source:   source(filepath.Join(a.dir, "specs")),
		Observer: observe.New(a.host),
		Executor: &execute.Executor{
			Actuators: map[observe.System]change.Actuator{
				observe.LVM: lvm.New(fakehost.Shell{Runner: a.host}, a.host), observe.LIO: kernel, observe.NVMet: nvmet.New(a.host),
				observe.Data: mover, observe.Repositories: backups.New(backups.Options{
					Run: a.host, Sources: mover, Changes: saver, Catalog: known, With: with, MountDir: filepath.Join(a.dir, "mounts"),
					Log: logr.Discard(), BackUp: saver.BackUp,
				}),
			},
			OneByOne: true,
		},
		Memory: memory, Installation: installation, Status: &status.Board{}, Log: logr.Discard(),
		OnPlan: a.Planned, MaxDeletions: 10, Resync: time.Hour, Clock: a.clock,
		Repositories: func(declared map[string]spec.Repository) map[string]observe.Repository {
			known.Observe(declared)
			known.Wait(context.Background())
			return known.Observe(declared)
		},
	}, known, nil
}

// Installation is the file of the installation that every machine has: plans show it.
const Installation = `{"version": 1, "id": "5ce0a51000000001", "name": "scenario"}`

// installationIn opens the installation with a state directory.
func installationIn(dir string) (*reconcile.Installation, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, reconcile.InstallationFile), []byte(Installation), 0o600); err != nil {
		return nil, err
	}
	return reconcile.OpenInstallation(dir, filepath.Join(dir, "identities.json"), "scenario")
}

const (
	// maxPasses is more than any convergence needs.
	maxPasses = 30
	// soon is when the agent tries once more what failed.
	soon = 1500 * time.Millisecond
)

// Apply makes passes until nothing more can be done, as the command of that name
// does, and returns how the objects stand. What fails is tried twice, without
// waiting in between, which is what a restart does.
func (a *Agent) Apply(ctx context.Context) (status.Report, error) {
	var status status.Report
	for range 2 {
		loop, known, err := a.loop()
		if err != nil {
			return status, err
		}
		defer known.Close()
		wait := time.Duration(0)
		for passes := 0; wait == 0; passes++ {
			wait = loop.Pass(ctx)
			known.Wait(context.Background()) // of what failed it reads in the background how things are
			if loop.Executor.JobsUnderWay() > 0 {
				loop.Executor.Wait()
				wait = 0
			}
			if err := ctx.Err(); err != nil {
				loop.Executor.Wait() // it is dead: nothing of it still runs
				return status, err
			}
			if status, _ = loop.Status.Report(); passes == maxPasses {
				return status, fmt.Errorf("not at rest after %d passes: %s", maxPasses, Stand(status))
			}
		}
		if wait > soon {
			break
		}
	}
	return status, nil
}

// Stand returns phase and reason of the objects that are not Ready, as in [Step].
func Stand(report status.Report) map[string]string {
	stand := map[string]string{}
	for _, o := range report.Objects {
		if o.Phase != status.Ready {
			stand[o.ID().String()] = string(o.Phase) + ": " + o.Reason
		}
	}
	return stand
}

// source reads the specs of a directory, with the passwords of the scenarios.
type source string

func (s source) Load(context.Context) spec.Set {
	set := spec.LoadPaths([]string{string(s)}, "")
	for name, e := range set.Exports {
		e.Spec.Initiators = slices.Clone(e.Spec.Initiators)
		for i, initiator := range e.Spec.Initiators {
			e.Spec.Initiators[i].Auth = withPasswords(initiator.Auth)
		}
		set.Exports[name] = e
	}
	for name, r := range set.Repositories {
		r.Spec.Restic.Password = spec.NewSecret(Password(filepath.Base(r.Spec.Restic.PasswordFrom.File)))
		set.Repositories[name] = r
	}
	return set
}

func withPasswords(a *spec.Auth) *spec.Auth {
	if a == nil {
		return nil
	}
	with := func(c *spec.Credentials) *spec.Credentials {
		if c == nil {
			return nil
		}
		filled := *c
		filled.Password = spec.NewSecret(Password(filepath.Base(c.PasswordFrom.File)))
		return &filled
	}
	return &spec.Auth{CHAP: with(a.CHAP), Mutual: with(a.Mutual)}
}
