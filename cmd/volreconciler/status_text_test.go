package main

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// aNode has an object of each kind, as seen at noon.
func aNode() (node status.Report, noon time.Time) {
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return status.Report{
		APIVersion: spec.APIVersion, Kind: "Status", Generation: 7, Time: noon,
		Findings: []status.Finding{
			{File: "specs/a.yaml", Line: 3, Column: 9, Path: "spec.size", Message: `"x" is not a size`},
			{File: "specs", Message: "cannot read the directory"},
		},
		Objects: []status.Object{
			{Kind: spec.KindPool, Name: "fast", Phase: status.Ready, Reason: status.ReasonAsDesired, Since: noon.Add(-72 * time.Hour),
				Pool: &status.Pool{VolumeGroup: "vg0", ThinPool: "pool0", Size: 100 * gib, Free: 75 * gib, Provisioned: 50 * gib, DataPercent: 25, MetadataPercent: 1.5}},
			{Kind: spec.KindVolume, Name: "db", Phase: status.Blocked, Reason: status.ReasonShrinkRefused, Message: "spec.size: no\nreally", Since: noon.Add(-5 * time.Minute),
				Volume: &status.Volume{Size: 20 * gib, DevicePath: "/dev/vg0/db", LVUUID: "abc", Serial: "0123", WWN: "naa.60014050123", Active: true, Pool: "fast", Allocated: 5 * gib, ExportedBy: []string{"web"}, HeldBy: []string{"mounted on /mnt"}}},
			{Kind: spec.KindSnapshot, Name: "nightly", Phase: status.Failed, Reason: status.ReasonNoSpace, Message: "full", Since: noon.Add(-10 * time.Second)},
			{Kind: spec.KindExport, Name: "web", Phase: status.Ready, Reason: status.ReasonAsDesired, Since: noon.Add(-3 * time.Hour),
				Export: &status.Export{Protocol: spec.ProtocolISCSI, Target: "iqn.2026-11.io.volreconciler:web", Portals: []string{"0.0.0.0:3260"}, LUNs: 2, Sessions: []string{"iqn.1993-08.org.debian:01:abc"}}},
		},
	}, noon
}

// anObjectInTrash has been there for an hour, at noon.
func anObjectInTrash() (o status.Object, noon time.Time) {
	_, noon = aNode()
	deleted := noon.Add(-time.Hour)
	return status.Object{
		Kind: spec.KindVolume, Name: "old", Phase: status.Deleting, Reason: status.ReasonInTrash, Message: "in the trash since then", Since: deleted,
		Volume: &status.Volume{Size: gib, DevicePath: "/dev/vg0/old", LVUUID: "abc", Serial: "0123", WWN: "naa.60014050123", DeletedAt: deleted, RemovedAfter: noon.Add(23 * time.Hour)},
	}, noon
}

var _ = Describe("The text of a status", func() {
	It("is a table, with the findings below it", func() {
		node, noon := aNode()
		var out strings.Builder
		Expect(writeStatus(&out, screen{}, node, false, noon)).To(Succeed())
		Expect(out.String()).To(Equal(`KIND  NAME  PHASE  REASON     AGE  SIZE   FREE  PROVISIONED  DATA%  META%  MESSAGE
Pool  fast  Ready  AsDesired  3d   100Gi  75Gi  50Gi         25.0%  1.5%

KIND    NAME  PHASE    REASON         AGE  SIZE  POOL  USED  EXPORTED BY  CONNECTED  MESSAGE
Volume  db    Blocked  ShrinkRefused  5m   20Gi  fast  5Gi   web          0          spec.size: no; really

KIND      NAME     PHASE   REASON   AGE  SIZE  VOLUME  POOL  USED  EXPORTED BY  CONNECTED  MESSAGE
Snapshot  nightly  Failed  NoSpace  10s  -     -       -     -     -            -          full

KIND    NAME  PHASE  REASON     AGE  PROTOCOL  TARGET                            LUNS  CONNECTED  MESSAGE
Export  web   Ready  AsDesired  3h   iscsi     iqn.2026-11.io.volreconciler:web  2     1

2 findings in the spec files; nothing is removed until all are fixed:
specs/a.yaml:3:9: spec.size: "x" is not a size
specs: cannot read the directory
`))
	})

	It("shows more when asked for more", func() {
		node, noon := aNode()
		node.Findings = nil
		var out strings.Builder
		Expect(writeStatus(&out, screen{}, node, true, noon)).To(Succeed())
		Expect(out.String()).To(Equal(`KIND  NAME  PHASE  REASON     AGE  SIZE   FREE  PROVISIONED  DATA%  META%  DEVICE/TARGET  MESSAGE
Pool  fast  Ready  AsDesired  3d   100Gi  75Gi  50Gi         25.0%  1.5%   vg0/pool0

KIND    NAME  PHASE    REASON         AGE  SIZE  POOL  USED  EXPORTED BY  CONNECTED  DEVICE/TARGET  WWN              SESSIONS  MESSAGE
Volume  db    Blocked  ShrinkRefused  5m   20Gi  fast  5Gi   web          0          /dev/vg0/db    naa.60014050123  -         spec.size: no; really

KIND      NAME     PHASE   REASON   AGE  SIZE  VOLUME  POOL  USED  EXPORTED BY  CONNECTED  DEVICE/TARGET  WWN  SESSIONS  MESSAGE
Snapshot  nightly  Failed  NoSpace  10s  -     -       -     -     -            -          -              -    -         full

KIND    NAME  PHASE  REASON     AGE  PROTOCOL  DEVICE/TARGET                     LUNS  CONNECTED  SESSIONS                       MESSAGE
Export  web   Ready  AsDesired  3h   iscsi     iqn.2026-11.io.volreconciler:web  2     1          iqn.1993-08.org.debian:01:abc
`))
	})

	It("says how much time is left in the trash", func() {
		o, noon := anObjectInTrash()
		var out strings.Builder
		Expect(writeStatus(&out, screen{}, status.Report{Objects: []status.Object{o}}, false, noon)).To(Succeed())
		Expect(out.String()).To(Equal(`KIND    NAME  PHASE     REASON   AGE  SIZE  POOL  USED  EXPORTED BY  CONNECTED  MESSAGE
Volume  old   Deleting  InTrash  60m  1Gi   -     -     -            0          23h0m left; in the trash since then
`))
		o.Volume.RemovedAfter = time.Time{}
		out.Reset()
		Expect(writeStatus(&out, screen{}, status.Report{Objects: []status.Object{o}}, false, noon)).To(Succeed())
		Expect(out.String()).To(HaveSuffix("  in the trash since then\n"))
	})

	It("keeps its columns when it is coloured", func() {
		node, noon := aNode()
		var out strings.Builder
		Expect(writeObjects(&out, screen{painter: painter{colours: true}}, node.Objects, false, noon)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("db    \x1b[35mBlocked\x1b[0m  ShrinkRefused"))
	})

	It("says what about the node may do harm", func() {
		var out strings.Builder
		Expect(writeStatus(&out, screen{}, status.Report{Warnings: []string{"lvm2 is old"}}, false, time.Now())).To(Succeed())
		Expect(out.String()).To(HaveSuffix("\nwarning: lvm2 is old\n"))
	})

	It("says that there is nothing", func() {
		var out strings.Builder
		Expect(writeStatus(&out, screen{}, status.Report{}, false, time.Now())).To(Succeed())
		Expect(out.String()).To(Equal("There are no such objects.\n"))
	})

	It("has as YAML the fields that it has as JSON", func() {
		node, _ := aNode()
		var out strings.Builder
		Expect(writeYAML(&out, node.Objects[3])).To(Succeed())
		Expect(out.String()).To(Equal(`kind: Export
name: web
phase: Ready
reason: AsDesired
since: "2026-11-22T09:00:00Z"
export:
  target: iqn.2026-11.io.volreconciler:web
  protocol: iscsi
  portals:
    - 0.0.0.0:3260
  luns: 2
  sessions:
    - iqn.1993-08.org.debian:01:abc
conditions:
  - type: Ready
    status: "True"
    reason: AsDesired
    lastTransitionTime: "2026-11-22T09:00:00Z"
`))
	})

	It("has the times of the trash when an object is described", func() {
		o, noon := anObjectInTrash()
		var out strings.Builder
		Expect(describe(&out, screen{}, o, noon)).To(Succeed())
		Expect(out.String()).To(And(
			ContainSubstring("In the trash since:  2026-11-22T11:00:00Z (60m ago)\n"),
			ContainSubstring("Removed after:       2026-11-23T11:00:00Z (23h0m left)\n")))
	})

	It("has since when a content is", func() {
		noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		v := &status.Volume{TakenAt: noon.Add(-72 * time.Hour).In(time.FixedZone("", 3600))}
		o := status.Object{Kind: "Snapshot", Name: "nightly", Phase: status.Ready, Reason: status.ReasonAsDesired, Snapshot: v}
		var out strings.Builder
		Expect(writeStatus(&out, screen{}, status.Report{Objects: []status.Object{o}}, false, noon)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("taken 2026-11-19T12:00:00Z (3d ago)\n"))
		out.Reset()
		Expect(describe(&out, screen{}, o, noon)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("2026-11-19T12:00:00Z (3d ago)\n"))
		o.Kind, o.Snapshot, o.Volume = "Volume", nil, &status.Volume{CreatedAt: noon.Add(-time.Hour)}
		out.Reset()
		Expect(describe(&out, screen{}, o, noon)).To(Succeed())
		Expect(out.String()).To(MatchRegexp(`Created: +2026-11-22T11:00:00Z \(60m ago\)\n`))
	})

	DescribeTable("has a field per line when an object is described",
		func(index int, expected string) {
			node, noon := aNode()
			var out strings.Builder
			Expect(describe(&out, screen{}, node.Objects[index], noon)).To(Succeed())
			Expect(out.String()).To(Equal(expected))
		},
		Entry("a Pool", 0, `Kind:           Pool
Name:           fast
Phase:          Ready
Reason:         AsDesired
Since:          2026-11-19T12:00:00Z (3d ago)
Volume group:   vg0
Thin pool:      pool0
Size:           100Gi (107374182400 bytes)
Free:           75Gi (80530636800 bytes)
Provisioned:    50Gi (50%)
Data used:      25.0%
Metadata used:  1.5%
`),
		Entry("a Volume", 1, `Kind:         Volume
Name:         db
Phase:        Blocked
Reason:       ShrinkRefused
Message:      spec.size: no; really
Since:        2026-11-22T11:55:00Z (5m ago)
Pool:         fast
Size:         20Gi (21474836480 bytes)
Device:       /dev/vg0/db
Active:       yes
LV UUID:      abc
Unit serial:  0123
WWN:          naa.60014050123
Exported by:  web
Held by:      mounted on /mnt
`),
		Entry("a Snapshot that is not there", 2, `Kind:     Snapshot
Name:     nightly
Phase:    Failed
Reason:   NoSpace
Message:  full
Since:    2026-11-22T11:59:50Z (10s ago)
`),
		Entry("an Export", 3, `Kind:      Export
Name:      web
Phase:     Ready
Reason:    AsDesired
Since:     2026-11-22T09:00:00Z (3h ago)
Protocol:  iscsi
Target:    iqn.2026-11.io.volreconciler:web
Portals:   0.0.0.0:3260
LUNs:      2
Sessions:  iqn.1993-08.org.debian:01:abc
`),
	)
})

var _ = DescribeTable("Selecting objects",
	func(args []string, names []string) {
		node, _ := aNode()
		s, err := selectionOf(args)
		Expect(err).NotTo(HaveOccurred())
		objects, err := s.objectsOf(node)
		Expect(err).NotTo(HaveOccurred())
		var got []string
		for _, o := range objects {
			got = append(got, o.Name)
		}
		Expect(got).To(Equal(names))
	},
	Entry("all", nil, []string{"fast", "db", "nightly", "web"}),
	Entry("a kind", []string{"volumes"}, []string{"db"}),
	Entry("a kind, written like in the files", []string{"Snapshot"}, []string{"nightly"}),
	Entry("a kind, in short", []string{"exp"}, []string{"web"}),
	Entry("an object", []string{"pool", "fast"}, []string{"fast"}),
	Entry("an object, as messages name it", []string{"Pool/fast"}, []string{"fast"}),
)

var _ = Describe("Selecting what is not there", func() {
	It("says what there is", func() {
		node, _ := aNode()
		_, err := selection{kind: spec.KindVolume, name: "dv"}.objectsOf(node)
		Expect(err).To(MatchError(`Volume "dv" does not exist; existing: db`))
		node.Objects = nil
		_, err = selection{kind: spec.KindVolume, name: "dv"}.objectsOf(node)
		Expect(err).To(MatchError(`Volume "dv" does not exist; no object of this kind exists`))
	})
})
