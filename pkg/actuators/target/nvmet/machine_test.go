package nvmet

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	nqn    = "nqn.2026-01.org.example:db"
	host1  = "nqn.2014-08.org.nvmexpress:uuid:11111111-1111-4111-8111-111111111111"
	host2  = "nqn.2014-08.org.nvmexpress:uuid:22222222-2222-4222-8222-222222222222"
	portal = "192.0.2.1:4420"
	lvUUID = "NgKyJa-8gzQ-lUek-5xem-jYFo-JLBc-OE6weK"
	other  = "MgKyJa-8gzQ-lUek-5xem-jYFo-JLBc-OE6weK"
	key    = "DHHC-1:00:c2VjcmV0IG9mIHRoZSBmaXJzdCBob3N0LCB3aGljaCBubyBvbmUgc2Vlcw==:"
	key2   = "DHHC-1:00:YW5vdGhlciBzZWNyZXQsIG9mIHRoZSBzdWJzeXN0ZW0sIHRvIGJlIGhpZGQ=:"
)

var db = change.Target{Fabric: observe.NVMe, Name: nqn, Export: "db"}

// node is a machine with two logical volumes.
func node() fakehost.Node {
	lv := func(name, uuid string, readOnly bool) fakehost.LogicalVolume {
		return fakehost.LogicalVolume{Name: name, UUID: uuid, Type: "thick", Size: 64 << 20, Active: true, ReadOnly: readOnly}
	}
	return fakehost.Node{
		APIVersion: fakehost.APIVersion, Kind: "Node",
		VolumeGroups: []fakehost.VolumeGroup{{
			Name: "vg0", UUID: "vg0000-0000-0000-0000-0000-0000-000000", ExtentSize: 4 << 20, Extents: 1000,
			LogicalVolumes: []fakehost.LogicalVolume{
				lv("db", lvUUID, false), lv("other", other, false),
				lv("fixed", "RgKyJa-8gzQ-lUek-5xem-jYFo-JLBc-OE6weK", true),
			},
		}},
	}
}

// machine returns a machine of which something is different from that of node.
func machine(edit ...func(*fakehost.Node)) *fakehost.Host {
	GinkgoHelper()
	n := node()
	for _, e := range edit {
		e(&n)
	}
	h, err := fakehost.New(n)
	Expect(err).NotTo(HaveOccurred())
	return h
}

func keys(password, mutual string) change.Auth {
	return change.Auth{Password: spec.NewSecret(password), MutualPassword: spec.NewSecret(mutual)}
}

// export are the changes that export a volume to two hosts.
func export(t change.Target) []change.Change {
	return []change.Change{
		change.CreateTarget{Target: t},
		change.AddLUN{Target: t, LUN: 0, Device: "/dev/vg0/db", LVUUID: lvUUID},
		change.AddInitiator{Target: t, Initiator: host1, Auth: keys(key, key2)},
		change.AddInitiator{Target: t, Initiator: host2},
		change.AddPortal{Target: t, Portal: portal, Transport: observe.TCP},
	}
}

// apply applies changes, twice each.
func apply(ctx context.Context, h host.Host, changes ...change.Change) {
	GinkgoHelper()
	a := New(h)
	for _, c := range changes {
		for range 2 {
			Expect(a.Apply(ctx, c)).To(Succeed(), c.String())
		}
	}
}

// seen returns the subsystem as it is observed.
func seen(ctx context.Context, h host.Host) observe.Target {
	GinkgoHelper()
	state := observe.New(h).Observe(ctx)
	Expect(state.Unknown).To(BeEmpty())
	return state.NVMe[nqn]
}
