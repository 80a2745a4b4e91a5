package reconcile

import (
	"errors"
	"regexp"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// applyAllButRemovals applies a plan up to the point where data would go.
func (n *node) applyAllButRemovals() {
	for _, s := range n.plan().Steps {
		if _, removal := s.Change.(change.RemoveLV); !removal {
			n.change(s.Change)
		}
	}
}

// editBackstore changes an object's backstore, as in volume:data.
func (n *node) editBackstore(name string, f func(*observe.Backstore)) {
	path := ondisk.HBA + "/volreconciler:" + name
	b := n.state.LIO.Backstores[path]
	f(&b)
	n.state.LIO.Backstores[path] = b
}

// desireImage desires an Image, of whose file nothing is there.
func (n *node) desireImage(of spec.ImageSpec) {
	of.Path, of.Format, of.Compress = goldenPath, spec.FormatQCOW2, true
	n.desired.Images = map[string]spec.Image{"golden": {Metadata: meta("golden"), Spec: of}}
	if _, looked := n.state.ImageFiles[goldenPath]; !looked {
		n.state.ImageFiles[goldenPath] = observe.ImageFile{}
	}
}

// permit annotates a Pool with the token that an object's status names.
func (n *node) permit(id spec.ID) {
	GinkgoHelper()
	message := objectOf(n.plan(), id).Message
	token := tokenIn.FindStringSubmatch(message)
	Expect(token).NotTo(BeNil(), message)
	p := n.desired.Pools["slow"]
	p.Metadata.Annotations = map[string]string{spec.AnnotationAllowDeletions: token[1]}
	n.desired.Pools["slow"] = p
}

func (n *node) moveTo(volume, pool string) {
	v := n.desired.Volumes[volume]
	v.Spec.Pool = pool
	n.desired.Volumes[volume] = v
}

func (n *node) ofVolume(volume string) (all []string) {
	for _, vg := range n.state.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if lv.Tag(ondisk.TagName) == volume {
				all = append(all, lv.FullName())
			}
		}
	}
	slices.Sort(all)
	return all
}

func (n *node) suspend(volume string) {
	v := n.desired.Volumes[volume]
	v.Metadata.Annotations = suspended
	n.desired.Volumes[volume] = v
}

// putBack asks for a Volume to be put back to a Snapshot; of no name: no longer.
func (n *node) putBack(volume, snapshot, request string) {
	v := n.desired.Volumes[volume]
	v.Spec.Revert = &spec.Revert{Snapshot: snapshot, Request: request}
	if snapshot == "" {
		v.Spec.Revert = nil
	}
	n.desired.Volumes[volume] = v
}

// invalidate makes the file of a Volume one with an error.
func (n *node) invalidate(id spec.ID) {
	delete(n.desired.Volumes, id.Name)
	n.desired.Invalid, n.desired.Complete = map[spec.ID]error{id: errors.New("not valid")}, false
}

// wait lets time go by, on all clocks.
func (n *node) wait(d time.Duration) {
	n.input.Now, n.input.Elapsed = n.input.Now.Add(d), n.input.Elapsed+d
}

// missing takes away physical volumes of the volume group, on which nothing lies.
func (n *node) missing(pvs int) {
	vg := n.state.VolumeGroups["vg0"]
	vg.MissingPVs = pvs
	n.state.VolumeGroups["vg0"] = vg
}

// wasMoved makes a volume the one that was copied to take its place: it has another
// UUID, and says which one it had first.
func (n *node) wasMoved(name, uuid string) {
	n.edit(name, func(lv *observe.LogicalVolume) {
		lv.Tags = append(slices.Clone(lv.Tags), ondisk.TagIdentity+lv.UUID)
		lv.UUID = uuid
	})
}

const goldenPath = "/srv/golden.qcow2"

var tokenIn = regexp.MustCompile(`volreconciler/allow-deletions: "([0-9a-f]{16})"`)

var suspended = map[string]string{spec.AnnotationReconcile: "suspended"}
