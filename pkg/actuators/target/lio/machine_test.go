package lio

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// machine returns a machine in memory with the active logical volumes vg0/v1 and
// vg0/v2, and what else is put into its node.
func machine(more ...func(*fakehost.Node)) *fakehost.Host {
	GinkgoHelper()
	n := fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{
		Name: "vg0", ExtentSize: 4 << 20, Extents: 100,
		LogicalVolumes: []fakehost.LogicalVolume{
			{Name: "v1", Type: "thick", Size: 4 << 20, Active: true, Minor: 1},
			{Name: "v2", Type: "thick", Size: 4 << 20, Active: true, Minor: 2},
		},
	}}}
	for _, add := range more {
		add(&n)
	}
	h, err := fakehost.New(n)
	Expect(err).NotTo(HaveOccurred())
	return h
}

// apply applies changes twice each: the second time there is nothing to do.
func apply(ctx context.Context, h *fakehost.Host, changes ...change.Change) {
	GinkgoHelper()
	for _, c := range changes {
		Expect(New(h).Apply(ctx, c)).To(Succeed(), c.String())
		Expect(New(h).Apply(ctx, c)).To(Succeed(), "again: %s", c)
	}
}

func observed(ctx context.Context, h *fakehost.Host) observe.State {
	GinkgoHelper()
	state := observe.New(h).Observe(ctx)
	Expect(state.Err()).NotTo(HaveOccurred())
	return state
}
