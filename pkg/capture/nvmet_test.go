package capture

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/nvmet"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("capturing nvmet", func() {
	const key = "DHHC-1:00:c2VjcmV0IG9mIHRoZSBmaXJzdCBob3N0LCB3aGljaCBubyBvbmUgc2Vlcw==:"
	t := change.Target{Fabric: observe.NVMe, Name: "nqn.2026-01.org.example:db", Export: "db"}

	It("shows the same subsystems, and no keys", func(ctx SpecContext) {
		h, err := fakehost.New(fakehost.Node{
			APIVersion: fakehost.APIVersion, Kind: "Node",
			VolumeGroups: []fakehost.VolumeGroup{{
				Name: "vg0", UUID: "vg0000-0000-0000-0000-0000-0000-000000", ExtentSize: 4 << 20, Extents: 100,
				LogicalVolumes: []fakehost.LogicalVolume{{Name: "db", Type: "thick", Size: 64 << 20, Active: true}},
			}},
		})
		Expect(err).NotTo(HaveOccurred())
		for _, c := range []change.Change{
			change.CreateTarget{Target: t},
			change.AddLUN{Target: t, LUN: 0, Device: "/dev/vg0/db"},
			change.AddInitiator{Target: t, Initiator: "nqn.2026-01.org.example:host", Auth: change.Auth{Password: spec.NewSecret(key)}},
			change.AddPortal{Target: t, Portal: "[2001:db8::1]:4420", Transport: observe.TCP},
		} {
			Expect(nvmet.New(h).Apply(ctx, c)).To(Succeed(), c.String())
		}
		n, err := Capture(ctx, h)
		Expect(err).NotTo(HaveOccurred())
		text, err := n.Marshal()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(text)).NotTo(ContainSubstring("DHHC"))

		want := observe.New(h).Observe(ctx).NVMe
		acl := want[t.Name].ACLs["nqn.2026-01.org.example:host"]
		acl.Auth.Password = spec.NewSecret(spec.Redacted)
		want[t.Name].ACLs["nqn.2026-01.org.example:host"] = acl
		captured, err := fakehost.New(n)
		Expect(err).NotTo(HaveOccurred())
		Expect(observe.New(captured).Observe(ctx).NVMe).To(Equal(want))

		// What is changed there is changed as on the machine.
		for _, c := range []change.Change{
			change.ResizeLUN{Target: t, LUN: 0},
			change.SetAuth{Target: t, Initiator: "nqn.2026-01.org.example:host"},
			change.RemoveTarget{Target: t},
		} {
			Expect(nvmet.New(captured).Apply(ctx, c)).To(Succeed(), c.String())
		}
	})
})
