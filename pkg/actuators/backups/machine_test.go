package backups_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/backups"
	"github.com/volreconciler/volreconciler/pkg/actuators/backups/fakebackups"
	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/restic/fakerestic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const mib = 1 << 20

// machine is a node in memory with vg0 and a thin pool p in it, a repository that is there, and an actuator.
type machine struct {
	*fakehost.Host
	restic   *fakerestic.Restic
	catalog  *catalog.Catalog
	actuator *backups.Actuator
	jobs     *jobs.Actuator
	// made are the jobs that were run; before, if set, is called before each, and its error is that of the job.
	state  string // the file of the catalog
	made   []backup.Job
	before func(backup.Job) error
}

var offsite = change.Repository{Name: "offsite", URL: "/srv/backups", Password: spec.NewSecret("the-password")}

func newMachine(ctx context.Context) *machine {
	GinkgoHelper()
	h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 * mib, Extents: 200}}})
	Expect(err).NotTo(HaveOccurred())
	m := &machine{Host: h, restic: fakerestic.NewRestic()}
	m.do(ctx, "lvcreate -y --type thin-pool -Zy -L 256m -n p vg0", "lvcreate -y -V 16m -T vg0/p -n db")
	m.open()
	Expect(m.repository().Init(ctx)).To(Succeed())
	return m
}

// open makes the actuator, as after a start of the agent.
func (m *machine) open() {
	GinkgoHelper()
	var err error
	with := restic.Repository{Runner: m.restic, Host: "node1"}
	m.state = filepath.Join(GinkgoT().TempDir(), "repositories.json")
	m.catalog, err = catalog.Open(m.state, catalog.Options{With: with, Log: logr.Discard()})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(m.catalog.Close)
	engine := fakebackups.Engine{Engine: fakehost.Engine{Devices: m}, With: with}
	m.jobs = jobs.New(m, lvm.New(m, m), engine, nil, nil)
	m.jobs.UseBackups(&backups.Restorer{With: with, Write: engine.Write})
	m.actuator = backups.New(backups.Options{
		Run: m, Sources: m.jobs, Changes: engine, Catalog: m.catalog, With: with, MountDir: GinkgoT().TempDir(), Log: GinkgoLogr,
		BackUp: func(ctx context.Context, j backup.Job) (backup.Result, error) {
			m.made = append(m.made, j)
			if m.before != nil {
				if err := m.before(j); err != nil {
					return backup.Result{}, err
				}
			}
			return engine.BackUp(ctx, j)
		},
	})
}

// observe returns what the catalog knows.
func (m *machine) observe() observe.Repository {
	return m.catalog.Observe(map[string]spec.Repository{offsite.Name: {Spec: spec.RepositorySpec{
		Restic: spec.ResticRepository{URL: offsite.URL, Password: offsite.Password},
	}}})[offsite.Name]
}

// repository is the repository, as a person at the node uses it.
func (m *machine) repository() restic.Repository {
	return restic.Repository{URL: offsite.URL, Password: offsite.Password, Runner: m.restic}
}

// do runs command lines.
func (m *machine) do(ctx context.Context, lines ...string) {
	GinkgoHelper()
	for _, l := range lines {
		_, err := m.Run(ctx, strings.Fields(l)...)
		Expect(err).NotTo(HaveOccurred())
	}
}

func (m *machine) lv(name string) change.LV {
	GinkgoHelper()
	for _, lv := range m.Node().VolumeGroups[0].LogicalVolumes {
		if lv.Name == name {
			return change.LV{VolumeGroup: "vg0", Name: name, UUID: lv.UUID}
		}
	}
	Fail("no " + name)
	return change.LV{}
}

func (m *machine) isActive(name string) bool {
	return slices.ContainsFunc(m.Node().VolumeGroups[0].LogicalVolumes, func(lv fakehost.LogicalVolume) bool { return lv.Name == name && lv.Active })
}

// breakState makes it impossible to write the file of the catalog.
func (m *machine) breakState() {
	GinkgoHelper()
	Expect(os.RemoveAll(m.state)).To(Succeed())
	Expect(os.Mkdir(m.state, 0o700)).To(Succeed())
}

func (m *machine) otherPassword() spec.Secret { return spec.NewSecret("another-password") }

// when is the moment of the first snapshot; each later one is an hour later.
var when = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

// snapshot takes a thin snapshot of db, and returns what backs it up.
func (m *machine) snapshot(ctx context.Context, name string, number int) change.BackUp {
	GinkgoHelper()
	m.do(ctx, "lvcreate -y -s -n "+name+" vg0/db")
	return change.BackUp{
		LV: m.lv(name), Repository: offsite, Size: 16 * mib, Volume: "db", Schedule: "nightly", Time: when.Add(time.Duration(number) * time.Hour),
		Identity: "identity", Description: "kind: Volume\n",
	}
}

// backUp makes a backup and returns what the catalog says of it.
func (m *machine) backUp(ctx context.Context, c change.BackUp) observe.Backup {
	GinkgoHelper()
	Expect(m.actuator.Apply(ctx, c)).To(Succeed())
	m.observe()
	m.catalog.Refresh(ctx, offsite.Name)
	found := m.observe().Backups
	Expect(found).NotTo(BeEmpty())
	for _, b := range found {
		if b.LV == c.UUID {
			return b
		}
	}
	Fail("there is no backup of " + c.LV.String())
	return observe.Backup{}
}
