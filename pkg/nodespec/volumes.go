package nodespec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// poolSpec and volumeSpec are what is written of a Pool and a Volume: no defaults.
type poolSpec struct {
	VolumeGroup string        `yaml:"volumeGroup"`
	ThinPool    *thinPoolSpec `yaml:"thinPool,omitempty"`
}

type thinPoolSpec struct {
	Name string `yaml:"name"`
	Size string `yaml:"size"`
}

type volumeSpec struct {
	Pool   string `yaml:"pool"`
	Size   string `yaml:"size"`
	LVName string `yaml:"lvName,omitempty"`
	Adopt  bool   `yaml:"adopt"`
	Serial string `yaml:"serial,omitempty"`
}

// describeGroup describes a volume group: a Pool for its thick volumes, one for each thin pool, and
// its volumes.
func (d *Draft) describeGroup(vg observe.VolumeGroup) {
	pools := map[string]spec.ID{} // by the thin pool's name; empty: thick
	lvs := slices.Sorted(maps.Keys(vg.LogicalVolumes))
	hasThinPool := slices.ContainsFunc(lvs, func(name string) bool { return vg.LogicalVolumes[name].Type == observe.ThinPool })
	if !hasThinPool || slices.ContainsFunc(lvs, func(name string) bool { return isThick(vg.LogicalVolumes[name]) }) {
		pools[""] = d.describePool(vg, nil).id
	}
	for _, name := range lvs {
		if lv := vg.LogicalVolumes[name]; lv.Type == observe.ThinPool {
			pools[name] = d.describePool(vg, &lv).id
		}
	}
	for _, name := range lvs {
		if lv := vg.LogicalVolumes[name]; lv.Type != observe.ThinPool {
			d.describeVolume(vg, lv, pools[lv.Pool])
		}
	}
}

// isThick reports whether a logical volume is a volume of its own, and in no thin pool.
func isThick(lv observe.LogicalVolume) bool {
	return lv.Type == observe.Thick || lv.Type == observe.OtherLV && lv.IsServable()
}

func (d *Draft) describePool(vg observe.VolumeGroup, thin *observe.LogicalVolume) *document {
	doc := &document{file: "pools.yaml", what: "volume group " + vg.Name}
	body := poolSpec{VolumeGroup: vg.Name}
	proposals := []string{vg.Name}
	if thin != nil {
		doc.what = "thin pool " + thin.FullName()
		body.ThinPool = &thinPoolSpec{thin.Name, sizeText(thin.Size)}
		proposals = []string{vg.Name + "-" + thin.Name}
		if owner, owned := thin.Owner(); owned { // it keeps its owner
			proposals = []string{owner.Name}
		}
	}
	doc.id, doc.body = spec.ID{Kind: spec.KindPool, Name: d.nameFor(spec.KindPool, proposals...)}, body
	if vg.Shared {
		doc.left = "it is shared with other machines (lvmlockd)"
	}
	return d.add(doc)
}

func (d *Draft) describeVolume(vg observe.VolumeGroup, lv observe.LogicalVolume, pool spec.ID) {
	why := ""
	owner, owned := lv.BelongsTo()
	switch {
	case lv.Marked() && owned:
		d.skipped[lv.FullName()] = "already managed, for " + owner.String()
		return // it has a spec already
	case lv.Marked():
		why = "it has tags of volreconciler, but no owner among them: " + strings.Join(lv.TagsWith(ondisk.TagPrefix), " ")
	case lv.Type == observe.ThickSnapshot:
		why = "it is a thick snapshot of " + lv.Origin + ". Existing snapshots cannot be adopted, and remain as they are"
	case lv.Type == observe.OtherLV && !lv.IsServable():
		why = "it is no volume, but " + lv.Kind()
	case pool.Name == "":
		why = "its thin pool " + lv.Pool + " was not found"
	}
	if why != "" {
		d.skipped[lv.FullName()] = why
		d.omit("logical volume "+lv.FullName(), why)
		return
	}
	body := volumeSpec{Pool: pool.Name, Size: sizeText(lv.Size), Adopt: true}
	name := d.nameFor(spec.KindVolume, lv.Name, vg.Name+"-"+lv.Name)
	if name != lv.Name {
		body.LVName = lv.Name
	}
	doc := &document{
		id: spec.ID{Kind: spec.KindVolume, Name: name}, file: "volumes-" + vg.Name + ".yaml", what: lv.FullName(),
		needs: []spec.ID{pool}, notes: notesOn(lv),
	}
	if !lv.Active {
		doc.left = "it is inactive, and whatever is declared is activated. To import it, activate it first: " + howToActivate(lv)
	}
	if b, bound := d.backstoreOn(lv); bound && b.Serial != ondisk.UnitSerial(lv.Identity()) {
		body.Serial = b.Serial
		if err := spec.CheckSerial(b.Serial); err != nil {
			doc.left = fmt.Sprintf("initiators know it by a serial that cannot be declared: %v", err)
		}
	}
	doc.body = body
	d.volumes[lv.FullName()] = d.add(doc)
}

// howToActivate is LVM's command for it. Its -K overrides the skip-activation flag.
func howToActivate(lv observe.LogicalVolume) string {
	if lv.SkipActivation {
		return "lvchange -ay -K " + lv.FullName()
	}
	return "lvchange -ay " + lv.FullName()
}

// notesOn says what is special about a logical volume.
func notesOn(lv observe.LogicalVolume) []string {
	var notes []string
	if kind := lv.Kind(); kind != "" {
		notes = append(notes, "It is "+kind+": served as it is, and never changed.")
	}
	if lv.Type == observe.Thin && lv.Origin != "" {
		notes = append(notes, "It is a thin snapshot of "+lv.Origin+", and a Volume of its own here.")
	}
	if lv.SkipActivation {
		notes = append(notes, "It has the skip-activation flag, and is activated at boot all the same once it is managed.")
	}
	for _, holder := range lv.HeldBy {
		notes = append(notes, "In use on this node: "+holder+".")
	}
	return notes
}

// backstoreOn returns the block backstore of somebody else that a logical volume is bound to.
func (d *Draft) backstoreOn(lv observe.LogicalVolume) (observe.Backstore, bool) {
	b, bound := d.backstores[fmt.Sprintf("dm-%d", lv.Minor)]
	return b, bound && lv.Active
}

// sizeText writes a size so that it is read as the same.
func sizeText(bytes uint64) string {
	text := spec.Size(bytes).String()
	if read, err := spec.ParseSize(text); err != nil || uint64(read) != bytes {
		return fmt.Sprint(bytes)
	}
	return text
}
