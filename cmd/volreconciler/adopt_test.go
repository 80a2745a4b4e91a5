package main

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("What installations made", func() {
	one, other := ondisk.Maker{ID: "00000000cafecafe", Name: "node-1"}, ondisk.Maker{ID: "00000000deadbeef"}
	volume := ondisk.OwnerTags(spec.ID{Kind: spec.KindVolume, Name: "db"})
	state := observe.State{VolumeGroups: map[string]observe.VolumeGroup{"vg0": {LogicalVolumes: map[string]observe.LogicalVolume{
		"db":      {VolumeGroup: "vg0", Name: "db", Tags: append(volume, one.Tag())},
		"db-copy": {VolumeGroup: "vg0", Name: "db-copy", Tags: append(volume, one.Tag(), other.Tag())},
		"source":  {VolumeGroup: "vg0", Name: "source", Tags: ondisk.MoveTags("db")},
		"root":    {VolumeGroup: "vg0", Name: "root", Tags: []string{"backup"}},
	}}}}
	It("is listed for each", func() {
		Expect(madeBy(state)).To(Equal(map[string][]string{
			one.ID:     {"Volume/db (vg0/db) node-1", "Volume/db (vg0/db-copy) node-1"},
			other.ID:   {"Volume/db (vg0/db-copy)"},
			"unmarked": {"Volume/db (vg0/source)"},
		}))
	})
	It("is said to whoever names one that made nothing", func() {
		Expect(installations(madeBy(state), other)).To(Equal("Other installations have 1 logical volume (unmarked), 2 logical volumes (00000000cafecafe)"))
		Expect(installations(nil, other)).To(Equal("No logical volume belongs to another installation"))
	})
})
