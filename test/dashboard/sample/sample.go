// Package sample makes the status of a node up, for the tests of the dashboard: small ones with
// something of everything, and as many objects as are asked for. It never reads a machine.
//
// Start reading at [Board].
package sample

import (
	"fmt"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const gib = 1 << 30

// Hostile is a text that a page must show and never obey.
const Hostile = `"><script>document.title="hacked"</script><img src=x onerror=alert(1)>'`

// Board returns a board that shows a node with something of everything, with Hostile wherever a file, a
// program or an initiator may have put it. Its history begins when all was well.
func Board(now time.Time) *status.Board {
	b := &status.Board{}
	b.SetNodeWarnings([]string{"lvm.conf: scan_lvs = 1 lets LVM read what guests write: set it to 0"})
	b.Publish(calm(), nil, status.PassCost{Seconds: 0.21, Processes: 2}, now.Add(-3*time.Hour))
	b.Publish(troubled(now), findings(), status.PassCost{Seconds: 0.34, Processes: 3}, now.Add(-4*time.Minute))
	b.SetRead(now.Add(-20*time.Second), []status.Source{{Name: "lvm", Watching: true}, {Name: "configfs", Watching: true}}, 0)
	b.SetProgress("vg0", &status.Progress{
		Type: "Populate", Summary: "copy Snapshot/golden to vg0/web-3", Done: 9 * gib, Total: 20 * gib, Rate: 300 << 20, LeftSeconds: 38,
		Object: spec.ID{Kind: spec.KindVolume, Name: "web-3"},
	})
	return b
}

func findings() []status.Finding {
	return []status.Finding{
		{File: "/etc/volreconciler/specs/apps.yaml", Line: 14, Column: 9, Path: "spec.size", Message: `"20Gb" is not a size; write 20G or 20Gi`},
	}
}

func calm() []status.Object {
	objects := []status.Object{
		pool("archive", "vg1", "", 4096*gib, 1210*gib, 0, 0), pool("fast", "vg0", "pool0", 512*gib, 61*gib, 88.1, 41.2),
		export("db", "iqn.2026-11.io.volreconciler:db", spec.ProtocolISCSI, "iqn.1993-08.org.debian:01:db-host", "192.0.2.11"),
		export("web", "nqn.2026-11.io.volreconciler:web", spec.ProtocolNVMeTCP, "nqn.2014-08.org.nvmexpress:uuid:5d1f", "192.0.2.21"),
		volume("db-data", "fast", 200*gib, 171*gib, "db"), volume("db-log", "fast", 40*gib, 12*gib, "db"),
		volume("web-1", "fast", 20*gib, 9*gib, "web"), volume("web-2", "fast", 20*gib, 11*gib, "web"), volume("media", "archive", 2048*gib, 2048*gib),
		snapshot("db-monday", "db-data", "fast", 200*gib, 140*gib),
	}
	for i := range 6 {
		objects = append(objects, volume(fmt.Sprintf("vm-%d", i), "archive", 50*gib, 50*gib))
	}
	return sorted(objects)
}

func troubled(now time.Time) []status.Object {
	objects := calm()
	set := func(name string, kind spec.Kind, phase status.Phase, reason, message string) *status.Object {
		for i := range objects {
			if objects[i].ID() == (spec.ID{Kind: kind, Name: name}) {
				objects[i].Phase, objects[i].Reason, objects[i].Message = phase, reason, message
				return &objects[i]
			}
		}
		return nil
	}
	set("media", spec.KindVolume, status.Failed, status.ReasonNoSpace,
		"cannot extend vg1/media by 2Ti: vg1 has 1.2Ti free. Extend the volume group, or revert spec.size")
	for i := range 6 {
		name := fmt.Sprintf("vm-%d", i)
		set(name, spec.KindVolume, status.Blocked, status.ReasonNotOwned, "vg1/"+name+
			" already exists and is not managed by volreconciler. Rename that logical volume, or set spec.adopt")
	}
	web := set("web", spec.KindExport, status.Blocked, status.ReasonSessionsActive,
		"cannot remove LUN 3: initiator nqn.2014-08.org.nvmexpress:uuid:5d1f is connected. Log it out, or set disconnect: Force")
	web.Labels = map[string]string{"team": "shop", "note": Hostile}
	db := set("db-data", spec.KindVolume, status.Ready, status.ReasonAsDesired, "")
	db.Drift = &status.Drift{Time: now.Add(-4 * time.Minute), Change: "activate vg0/db-data", Corrected: 2, By: &status.Actor{
		PID: 4711, Command: "lvchange", Executable: "/usr/sbin/lvm", UID: 0, User: "root", LoginUID: 1000, LoginUser: "alice", Parents: []string{"bash", "sshd"},
	}}
	db.Volume.Attachments = append(db.Volume.Attachments, status.Attachment{Export: "db", Initiator: Hostile, Address: "192.0.2.66"})
	progress := volume("web-3", "fast", 20*gib, 9*gib)
	progress.Phase, progress.Reason, progress.Message = status.Progressing, status.ReasonConverging, "copy Snapshot/golden to vg0/web-3"
	trashed := volume("old-home", "fast", 30*gib, 0)
	trashed.Phase, trashed.Reason, trashed.Message = status.Deleting, status.ReasonInTrash, "in the trash; declare it again to recover it"
	trashed.Volume.DeletedAt, trashed.Volume.RemovedAfter, trashed.Volume.Active = now.Add(-5*time.Hour), now.Add(19*time.Hour), false
	orphan := volume("scratch", "archive", 10*gib, 10*gib)
	orphan.Phase, orphan.Reason, orphan.Message = status.Orphaned, status.ReasonRetained, "undeclared, and kept: its deletionPolicy is Retain. "+Hostile
	return sorted(append(append(objects, progress, trashed, orphan), backups(now)...))
}

// backups are a schedule of which one Volume has no backup any more, its Repository, and a Backup by hand.
func backups(now time.Time) []status.Object {
	repository, schedule, byHand := ready(spec.KindRepository, "offsite"), ready(spec.KindSnapshotSchedule, "nightly"), ready(spec.KindBackup, "before-upgrade")
	repository.Repository = &status.Repository{URL: "sftp:backup@backup.example.org:/srv/restic/node7", Backups: 29, Read: now.Add(-11 * time.Minute), Checked: now.Add(-9 * time.Hour)}
	schedule.Phase, schedule.Reason, schedule.Message = status.Failed, status.ReasonBackupTooOld, "the last backup of db-log is older than 30h"
	schedule.Schedule = &status.Schedule{Volumes: 2, Snapshots: 14, Last: now.Add(-10 * time.Hour), Next: now.Add(14 * time.Hour), Backups: []status.VolumeBackups{
		{Volume: "db-data", Count: 14, Last: now.Add(-10 * time.Hour), Drilled: now.Add(-96 * time.Hour)}, {Volume: "db-log", Count: 14, Last: now.Add(-58 * time.Hour), TooOld: true},
	}}
	byHand.Backup = &status.Backup{Volume: "db-data", Repository: "offsite", ID: "4f2a9c1be07d63a8", Time: now.Add(-48 * time.Hour)}
	return []status.Object{repository, schedule, byHand}
}

// Plan returns what is pending on the node of [Board].
func Plan() *plan.Plan {
	web := spec.ID{Kind: spec.KindVolume, Name: "web-3"}
	return &plan.Plan{
		Steps: []plan.Step{
			{ID: 1, Object: web, Change: change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: "web-3"}, Size: 20 * gib, ThinPool: "pool0"}, Danger: plan.Harmless, Why: "not there"},
			{ID: 2, Object: spec.ID{Kind: spec.KindExport, Name: "db"}, Change: change.RemoveLUN{Target: change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-11.io.volreconciler:db"}, LUN: 3},
				Danger: plan.Disruptive, Why: "undeclared", Affects: []string{"iqn.1993-08.org.debian:01:db-host", Hostile}},
		},
		Warnings: []plan.Warning{{Object: web, Message: "thin pool vg0/pool0 is provisioned at 117%"}},
	}
}

// Large returns a board with n objects: half of them Volumes, each with an Export, in ten Pools. A tenth
// failed, each with a message of its own, as long as messages become.
func Large(n int, now time.Time) *status.Board {
	var objects []status.Object
	for i := range 10 {
		objects = append(objects, pool(fmt.Sprintf("pool-%d", i), "vg0", fmt.Sprintf("pool%d", i), 512*gib, 261*gib, 49, 11))
	}
	for i := range (n - len(objects)) / 2 {
		name := fmt.Sprintf("volume-of-a-tenant-with-a-long-name-%05d", i)
		target := "iqn.2026-11.io.volreconciler:" + name
		v, e := volume(name, fmt.Sprintf("pool-%d", i%10), 20*gib, 9*gib, name), export(name, target, spec.ProtocolISCSI, "iqn.1993-08.org.debian:01:"+name, "2001:db8::1")
		if i%5 == 0 {
			v.Phase, v.Reason = status.Failed, status.ReasonNoSpace
			v.Message = fmt.Sprintf("cannot extend vg0/%s by %dGi: %0220d is what LVM said. Extend the volume group, or revert spec.size", name, i, i)
		}
		objects = append(objects, v, e)
	}
	b := &status.Board{}
	ready := slices.Clone(objects)
	for i := range ready {
		ready[i].Phase = status.Progressing
	}
	b.Publish(sorted(ready), nil, status.PassCost{}, now.Add(-time.Hour))
	b.Publish(sorted(objects), nil, status.PassCost{}, now)
	return b
}

// With returns the objects of a board with one of them changed, to be published.
func With(b *status.Board, id spec.ID, edit func(*status.Object)) []status.Object {
	report, _ := b.Report()
	objects := slices.Clone(report.Objects)
	for i := range objects {
		if objects[i].ID() == id {
			edit(&objects[i])
		}
	}
	return sorted(objects)
}

func sorted(objects []status.Object) []status.Object {
	slices.SortFunc(objects, func(a, b status.Object) int { return spec.CompareIDs(a.ID(), b.ID()) })
	return objects
}

func ready(kind spec.Kind, name string) status.Object {
	return status.Object{Kind: kind, Name: name, Phase: status.Ready, Reason: status.ReasonAsDesired}
}

func pool(name, group, thin string, size, free uint64, data, metadata float64) status.Object {
	o := ready(spec.KindPool, name)
	o.Pool = &status.Pool{VolumeGroup: group, ThinPool: thin, Size: size, Free: free, DataPercent: data, MetadataPercent: metadata}
	if thin != "" {
		o.Pool.Provisioned, o.Pool.ProvisionedAfter = size/10*11, size/10*12
	}
	return o
}

func volume(name, pool string, size, allocated uint64, exports ...string) status.Object {
	o := ready(spec.KindVolume, name)
	o.Volume = logicalVolume(name, pool, size, allocated)
	o.Volume.ExportedBy = exports
	for _, e := range exports {
		o.Volume.Attachments = append(o.Volume.Attachments, status.Attachment{Export: e, Initiator: "iqn.1993-08.org.debian:01:" + e + "-host", Address: "192.0.2.11"})
	}
	return o
}

func snapshot(name, of, pool string, size, allocated uint64) status.Object {
	o := ready(spec.KindSnapshot, name)
	o.Snapshot = logicalVolume(name, pool, size, allocated)
	o.Snapshot.Volume, o.Snapshot.TakenAt = of, time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	return o
}

func logicalVolume(name, pool string, size, allocated uint64) *status.Volume {
	return &status.Volume{
		Size: size, Allocated: allocated, DevicePath: "/dev/vg0/" + name, LVUUID: "q2Vw7v-1bPo-9Lx2-Pq3s-fRt5-u8Yc-D4mNkE",
		Serial: "4f1c2a90d37b5e68", WWN: "naa.6001405" + "4f1c2a90d37b5e681", NamespaceUUID: "0b7f1d0e-5c55-4b0a-9d3e-7d1f0f3c2b11",
		Active: true, Pool: pool, DataPercent: 100 * float64(allocated) / float64(size),
		CreatedAt: time.Date(2026, 10, 2, 9, 30, 0, 0, time.UTC),
	}
}

func export(name, target string, protocol spec.Protocol, initiator, address string) status.Object {
	o := ready(spec.KindExport, name)
	o.Export = &status.Export{
		Target: target, Protocol: protocol, Portals: []string{"0.0.0.0:3260"}, LUNs: 2, Sessions: []string{initiator},
		Connections: []status.Connection{{Initiator: initiator, Address: address, Transport: "tcp"}},
	}
	return o
}
