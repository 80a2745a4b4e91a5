package model

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// ApplyAllButRemovals applies a plan up to the point where data would go.
func (n *Node) ApplyAllButRemovals() {
	for _, s := range n.Plan().Steps {
		if _, removal := s.Change.(change.RemoveLV); !removal {
			n.Change(s.Change)
		}
	}
}

// EditBackstore changes an object's backstore, as in volume:data.
func (n *Node) EditBackstore(name string, f func(*observe.Backstore)) {
	path := n.BackstorePath("volreconciler:" + name)
	b := n.State.LIO.Backstores[path]
	f(&b)
	n.State.LIO.Backstores[path] = b
}

// BackstorePath returns the path of the backstore of a name.
func (n *Node) BackstorePath(name string) string {
	for path, b := range n.State.LIO.Backstores {
		if b.Name == name {
			return path
		}
	}
	return ondisk.HBA + "/" + name
}

// DesireImage desires an Image, of whose file nothing is there.
func (n *Node) DesireImage(of spec.ImageSpec) {
	of.Path, of.Format, of.Compress = GoldenPath, spec.FormatQCOW2, true
	n.Desired.Images = map[string]spec.Image{"golden": {Metadata: Meta("golden"), Spec: of}}
	if _, looked := n.State.ImageFiles[GoldenPath]; !looked {
		n.State.ImageFiles[GoldenPath] = observe.ImageFile{}
	}
}

// Permit annotates a Pool with the token that an object's status names.
func (n *Node) Permit(id spec.ID) {
	GinkgoHelper()
	message := ObjectOf(n.Plan(), id).Message
	token := TokenIn.FindStringSubmatch(message)
	Expect(token).NotTo(BeNil(), message)
	p := n.Desired.Pools["slow"]
	p.Metadata.Annotations = map[string]string{spec.AnnotationAllowDeletions: token[1]}
	n.Desired.Pools["slow"] = p
}

// MoveTo desires a Volume in another Pool.
func (n *Node) MoveTo(volume, pool string) {
	v := n.Desired.Volumes[volume]
	v.Spec.Pool = pool
	n.Desired.Volumes[volume] = v
}

// OfVolume returns the names of all logical volumes of a Volume.
func (n *Node) OfVolume(volume string) (all []string) {
	for _, vg := range n.State.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if lv.Tag(ondisk.TagName) == volume {
				all = append(all, lv.FullName())
			}
		}
	}
	slices.Sort(all)
	return all
}

// Suspend takes a Volume out of the agent's hands.
func (n *Node) Suspend(volume string) {
	v := n.Desired.Volumes[volume]
	v.Metadata.Annotations = suspended
	n.Desired.Volumes[volume] = v
}

// RestoreFile asks for a Volume to be reverted to a Snapshot; of no name: no longer.
func (n *Node) RestoreFile(volume, snapshot, request string) {
	v := n.Desired.Volumes[volume]
	v.Spec.Revert = &spec.Revert{Snapshot: snapshot, Request: request}
	if snapshot == "" {
		v.Spec.Revert = nil
	}
	n.Desired.Volumes[volume] = v
}

// Invalidate makes the file of a Volume one with an error.
func (n *Node) Invalidate(id spec.ID) {
	delete(n.Desired.Volumes, id.Name)
	n.Desired.Invalid, n.Desired.Complete = map[spec.ID]error{id: errors.New("not valid")}, false
}

// Wait lets time go by, on all clocks.
func (n *Node) Wait(d time.Duration) {
	n.Input.Now, n.Input.Elapsed = n.Input.Now.Add(d), n.Input.Elapsed+d
}

// Missing takes away physical volumes of the volume group, on which nothing lies.
func (n *Node) Missing(pvs int) {
	vg := n.State.VolumeGroups["vg0"]
	vg.MissingPVs = pvs
	n.State.VolumeGroups["vg0"] = vg
}

// WasMoved makes a volume the one that was copied to take its place: it has another
// UUID, and says which one it had first.
func (n *Node) WasMoved(name, uuid string) {
	n.Edit(name, func(lv *observe.LogicalVolume) {
		lv.Tags = append(slices.Clone(lv.Tags), ondisk.TagIdentity+lv.UUID)
		lv.UUID = uuid
	})
}

// GoldenPath is where an Image is written to.
const GoldenPath = "/srv/golden.qcow2"

// TokenIn finds what permits deletions in a message.
var TokenIn = regexp.MustCompile(`volreconciler/allow-deletions: "([0-9a-f]{16})"`)

var suspended = map[string]string{spec.AnnotationReconcile: "suspended"}

// Movable returns a node with a thin and a thick Volume without snapshots, both exported,
// and Pools in another volume group.
func Movable() *Node {
	n := NewNode()
	n.State.VolumeGroups["vg1"] = observe.VolumeGroup{
		Name: "vg1", UUID: "vg1-uuid", ExtentSize: 32 * MiB, Size: 10240 * MiB, Free: 10240 * MiB, LogicalVolumes: map[string]observe.LogicalVolume{},
	}
	n.Desired.Snapshots = nil
	n.Desired.Pools["far"] = spec.Pool{Metadata: Meta("far"), Spec: spec.PoolSpec{VolumeGroup: "vg1", Clear: spec.ClearZero}}
	n.Desired.Pools["farthin"] = spec.Pool{Metadata: Meta("farthin"), Spec: spec.PoolSpec{VolumeGroup: "vg1", ThinPool: &spec.ThinPool{Name: "pool1", Size: spec.SizeOrPercent{Percent: 50}}}}
	n.EditExport(func(e *spec.ExportSpec) {
		e.LUNs = []spec.LUN{{Volume: "data", Number: Ptr(0)}, {Volume: "thick", Number: Ptr(1)}}
	})
	n.Apply(n.Plan())
	n.Remember()
	Expect(n.Plan().Steps).To(BeEmpty())
	return n
}

// WasDeclared lets the agent know that files have named objects before.
func (n *Node) WasDeclared(ids ...spec.ID) {
	for _, id := range ids {
		identity := n.Input.Known[id]
		identity.Declared = true
		n.Input.Known[id] = identity
	}
}

// LearnExposures lets the agent look at who is logged in.
func (n *Node) LearnExposures(index *plan.Index) {
	n.Input.Exposures = plan.LearnExposures(n.Input.Exposures, n.State, index, n.boot != n.State.BootID, n.Input.Now)
	n.boot = n.State.BootID
}

// Pass is a pass of an agent with a memory that dies after some steps; -1: that does not.
func (n *Node) Pass(steps int) plan.Plan {
	index := plan.NewIndex(n.State, n.Input.Ownership())
	n.Input.Known = plan.Learn(n.Input.Known, n.Desired, n.State, index, n.Input.Now)
	n.LearnExposures(index)
	p := n.Plan()
	n.Input.Known = plan.NoteBeginning(n.Input.Known, p, n.Desired, n.State, index)
	n.Input.Exposures = plan.Anticipate(n.Input.Exposures, p, index, n.Input.Now)
	waits := map[plan.StepID]bool{}
	for i, s := range p.Steps {
		waits[s.ID] = steps >= 0 && i >= steps || n.Input.Held[s.Object] && !s.AtOnce ||
			slices.ContainsFunc(s.Needs, func(need plan.StepID) bool { return waits[need] })
		if !waits[s.ID] {
			n.Change(s.Change)
		}
	}
	return p
}

// Restart lets the agent know what is in its memory's file, and nothing else.
func (n *Node) Restart() {
	GinkgoHelper()
	n.Input.Known = maps.Clone(n.Input.Known)
	for id, identity := range n.Input.Known {
		data, err := json.Marshal(identity)
		Expect(err).NotTo(HaveOccurred())
		var stored plan.Identity
		Expect(json.Unmarshal(data, &stored)).To(Succeed())
		n.Input.Known[id] = stored
	}
}

// Withhold leaves Export db out. withheld is what is known of it all the same.
func (n *Node) Withhold(withheld *spec.ExportSpec) {
	if withheld != nil {
		e := n.Desired.Exports["db"]
		e.Spec = *withheld
		n.Desired.Withheld = map[string]spec.Export{"db": e}
	}
	n.Desired.Exports = maps.Clone(n.Desired.Exports)
	delete(n.Desired.Exports, "db")
	n.Desired.Invalid = maps.Clone(n.Desired.Invalid)
	n.Desired.Invalid[ExportID("db")] = errors.New("the password file cannot be read")
	n.Desired.Complete = false
}

// SuspendExport takes Export db out of the agent's hands.
func (n *Node) SuspendExport() {
	e := n.Desired.Exports["db"]
	e.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
	n.Desired.Exports["db"] = e
}

// LoseVolume lets the file of a Volume vanish while the input is in doubt.
func (n *Node) LoseVolume(name string) {
	n.Desired.Volumes = maps.Clone(n.Desired.Volumes)
	delete(n.Desired.Volumes, name)
	n.Desired.Complete = false
}

// Settled returns the node when there is nothing to be done.
func (n *Node) Settled() *Node {
	GinkgoHelper()
	for range 12 {
		if n.Pass(-1).Empty() {
			return n
		}
	}
	Fail("plans go on and on")
	return n
}

// SetPassword gives the first initiator of Export db another password; empty: none is known.
func (n *Node) SetPassword(password string) {
	n.EditExport(func(e *spec.ExportSpec) {
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].Auth = &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret(password)}}
		if password == "" {
			e.Initiators[0].Auth.CHAP.Password = spec.Secret{}
		}
	})
}

// AddWhole adds a Volume that is as declared, and has a backstore for another Export.
func (n *Node) AddWhole(name string) {
	GinkgoHelper()
	before := n.Desired.Exports
	n.Desired.Volumes = maps.Clone(n.Desired.Volumes)
	n.Desired.Volumes[name] = spec.Volume{Metadata: Meta(name), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: name, DeletionPolicy: spec.Retain}}
	suspended := before["db"]
	suspended.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
	n.Desired.Exports = map[string]spec.Export{"db": suspended, "mine": {Metadata: Meta("mine"), Spec: spec.ExportSpec{
		Protocol: spec.ProtocolISCSI, Target: IQN + "-mine", Portals: []string{"0.0.0.0:3260"}, LUNs: []spec.LUN{{Volume: name, Number: Ptr(0)}}, AllowAnyInitiator: true,
	}}}
	known := n.Input.Known
	n.Input.Known = maps.Clone(known)
	db := n.Input.Known[ExportID("db")]
	db.Interrupted = nil
	n.Input.Known[ExportID("db")] = db
	for range 6 {
		n.Apply(n.Plan())
	}
	n.Input.Known = known
	_, there := plan.NewIndex(n.State, n.Input.Ownership()).Backstore(VolumeID(name))
	Expect(there).To(BeTrue())
	n.Desired.Exports = maps.Clone(n.Desired.Exports)
	n.Desired.Exports["db"] = before["db"]
}
