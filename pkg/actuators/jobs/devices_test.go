package jobs_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// noting notes by which UUID each device was to be known that was opened.
type noting struct {
	fakehost.Engine
	opened map[string]string // by path
}

func (n noting) Copy(ctx context.Context, c blockcopy.Copy) (blockcopy.Result, error) {
	n.opened[c.Source], n.opened[c.Target] = c.SourceUUID, c.TargetUUID
	return n.Engine.Copy(ctx, c)
}

func (n noting) Clear(ctx context.Context, c blockcopy.Clear) (blockcopy.Result, error) {
	n.opened[c.Device] = c.UUID
	return n.Engine.Clear(ctx, c)
}

func (n noting) Claim(path, uuid string) (func(), error) {
	n.opened[path] = uuid
	return n.Engine.Claim(path, uuid)
}

type notingImages struct {
	images
	opened map[string]string
}

func (n notingImages) Write(ctx context.Context, image change.Image, to jobs.Target) error {
	n.opened[to.Path] = to.UUID
	return n.images.Write(ctx, image, to)
}

type notingBackups struct {
	backups
	opened map[string]string
}

func (n notingBackups) Restore(ctx context.Context, b change.Backup, to jobs.Target) error {
	n.opened[to.Path] = to.UUID
	return n.backups.Restore(ctx, b, to)
}

var _ = It("Every job says which logical volumes the devices have to be that it opens", func(ctx SpecContext) {
	for name := range allJobs {
		m, c := prepared(ctx, name)
		uuids := map[string]string{}
		for _, lv := range m.Node().VolumeGroups[0].LogicalVolumes {
			uuids["/dev/vg0/"+lv.Name] = lv.UUID
		}
		opened := map[string]string{}
		engine := fakehost.Engine{Devices: m}
		known := map[string][]fakehost.Span{aDisk.Key: {{From: 2 * mib, To: 9 * mib, Text: "disk"}}}
		a := jobs.New(m, lvm.New(m, m), noting{engine, opened}, notingImages{images{engine, known}, opened}, nil)
		a.UseBackups(notingBackups{backupsOn(engine), opened})
		Expect(a.Apply(ctx, c)).To(Succeed(), name)
		for path, uuid := range opened {
			Expect(uuid).To(Equal(uuids[path]), "%s: %s", name, path)
		}
		Expect(opened).NotTo(BeEmpty(), name)
	}
})
