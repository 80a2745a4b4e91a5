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

// ApplyAllButRemovals applies a plan without the steps that lose data.
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

// DeclareImage declares an Image whose file does not exist.
func (n *Node) DeclareImage(of spec.ImageSpec) {
	of.Path, of.Format, of.Compress = GoldenPath, spec.FormatQCOW2, true
	n.Declared.Images = map[string]spec.Image{"golden": {Metadata: Meta("golden"), Spec: of}}
	if _, looked := n.State.ImageFiles[GoldenPath]; !looked {
		n.State.ImageFiles[GoldenPath] = observe.ImageFile{}
	}
}

// Permit annotates a Pool with the token in an object's status.
func (n *Node) Permit(id spec.ID) {
	GinkgoHelper()
	message := ObjectOf(n.Plan(), id).Message
	token := TokenIn.FindStringSubmatch(message)
	Expect(token).NotTo(BeNil(), message)
	p := n.Declared.Pools["slow"]
	p.Metadata.Annotations = map[string]string{spec.AnnotationAllowDeletions: token[1]}
	n.Declared.Pools["slow"] = p
}

// MoveTo declares a Volume in another Pool.
func (n *Node) MoveTo(volume, pool string) {
	v := n.Declared.Volumes[volume]
	v.Spec.Pool = pool
	n.Declared.Volumes[volume] = v
}

// LVsOfVolume returns the names of all logical volumes of a Volume.
func (n *Node) LVsOfVolume(volume string) (all []string) {
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

// Suspend suspends a Volume.
func (n *Node) Suspend(volume string) {
	v := n.Declared.Volumes[volume]
	v.Metadata.Annotations = suspended
	n.Declared.Volumes[volume] = v
}

// DeclareRevert declares the revert of a Volume to a Snapshot; without a name: none.
func (n *Node) DeclareRevert(volume, snapshot, request string) {
	v := n.Declared.Volumes[volume]
	v.Spec.Revert = &spec.Revert{Snapshot: snapshot, Request: request}
	if snapshot == "" {
		v.Spec.Revert = nil
	}
	n.Declared.Volumes[volume] = v
}

// InvalidateVolume makes the file of a Volume invalid.
func (n *Node) InvalidateVolume(id spec.ID) {
	delete(n.Declared.Volumes, id.Name)
	n.Declared.Invalid, n.Declared.Complete = map[spec.ID]error{id: errors.New("not valid")}, false
}

// Wait advances all clocks.
func (n *Node) Wait(d time.Duration) {
	n.Input.Now, n.Input.Elapsed = n.Input.Now.Add(d), n.Input.Elapsed+d
}

// LosePVs removes physical volumes of the volume group that hold no data.
func (n *Node) LosePVs(pvs int) {
	vg := n.State.VolumeGroups["vg0"]
	vg.MissingPVs = pvs
	n.State.VolumeGroups["vg0"] = vg
}

// MarkMoved makes a volume one that a cutover made current: it has another UUID, and a tag with its
// first one.
func (n *Node) MarkMoved(name, uuid string) {
	n.Edit(name, func(lv *observe.LogicalVolume) {
		lv.Tags = append(slices.Clone(lv.Tags), ondisk.TagIdentity+lv.UUID)
		lv.UUID = uuid
	})
}

// GoldenPath is the file of the Image.
const GoldenPath = "/srv/golden.qcow2"

// TokenIn finds the token that permits deletions in a message.
var TokenIn = regexp.MustCompile(`volreconciler/allow-deletions: "([0-9a-f]{16})"`)

var suspended = map[string]string{spec.AnnotationReconcile: "suspended"}

// Movable returns a node with a thin and a thick Volume without snapshots, both exported,
// and Pools in another volume group.
func Movable() *Node {
	n := NewNode()
	n.State.VolumeGroups["vg1"] = observe.VolumeGroup{
		Name: "vg1", UUID: "vg1-uuid", ExtentSize: 32 * MiB, Size: 10240 * MiB, Free: 10240 * MiB, LogicalVolumes: map[string]observe.LogicalVolume{},
	}
	n.Declared.Snapshots = nil
	n.Declared.Pools["far"] = spec.Pool{Metadata: Meta("far"), Spec: spec.PoolSpec{VolumeGroup: "vg1", Clear: spec.ClearZero}}
	n.Declared.Pools["farthin"] = spec.Pool{Metadata: Meta("farthin"), Spec: spec.PoolSpec{VolumeGroup: "vg1", ThinPool: &spec.ThinPool{Name: "pool1", Size: spec.SizeOrPercent{Percent: 50}}}}
	n.EditExport(func(e *spec.ExportSpec) {
		e.LUNs = []spec.LUN{{Volume: "data", Number: Ptr(0)}, {Volume: "thick", Number: Ptr(1)}}
	})
	n.Apply(n.Plan())
	n.Remember()
	Expect(n.Plan().Steps).To(BeEmpty())
	return n
}

// MarkDeclared makes the agent remember that files have declared objects before.
func (n *Node) MarkDeclared(ids ...spec.ID) {
	for _, id := range ids {
		identity := n.Input.Known[id]
		identity.Declared = true
		n.Input.Known[id] = identity
	}
}

// LearnExposures makes the agent learn who is connected.
func (n *Node) LearnExposures(index *plan.Index) {
	n.Input.Exposures = plan.LearnExposures(n.Input.Exposures, n.State, index, n.boot != n.State.BootID, n.Input.Now)
	n.boot = n.State.BootID
}

// Pass is a pass of an agent with a memory that dies after some steps; -1: it does not die.
func (n *Node) Pass(steps int) plan.Plan {
	index := plan.NewIndex(n.State, n.Input.Ownership())
	n.Input.Declared, n.Input.Observed, n.Input.Index = n.Declared, n.State, index
	scheduled := plan.Schedule(n.Input)
	n.Input.Known = plan.Learn(n.Input.Known, scheduled.Declared, n.State, index, n.Input.Now)
	n.LearnExposures(index)
	n.Input.Index = nil
	p := n.Plan()
	n.Input.Known = plan.NoteBeginning(n.Input.Known, p, scheduled.Declared, n.State, index)
	n.Input.Exposures = plan.Anticipate(n.Input.Exposures, p, index, n.Input.Now)
	waits := map[plan.StepID]bool{}
	for i, s := range p.Steps {
		waits[s.ID] = steps >= 0 && i >= steps || n.Input.BackingOff[s.Object] && !s.AtOnce ||
			slices.ContainsFunc(s.Needs, func(need plan.StepID) bool { return waits[need] })
		if !waits[s.ID] {
			n.Change(s.Change)
		}
	}
	return p
}

// Restart leaves the agent with what is in its memory's file.
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

// Withhold makes Export db invalid. withheld is what is known of it all the same.
func (n *Node) Withhold(withheld *spec.ExportSpec) {
	if withheld != nil {
		e := n.Declared.Exports["db"]
		e.Spec = *withheld
		n.Declared.Withheld = map[string]spec.Export{"db": e}
	}
	n.Declared.Exports = maps.Clone(n.Declared.Exports)
	delete(n.Declared.Exports, "db")
	n.Declared.Invalid = maps.Clone(n.Declared.Invalid)
	n.Declared.Invalid[ExportID("db")] = errors.New("the password file cannot be read")
	n.Declared.Complete = false
}

// SuspendExport suspends Export db.
func (n *Node) SuspendExport() {
	e := n.Declared.Exports["db"]
	e.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
	n.Declared.Exports["db"] = e
}

// UndeclareInDoubt removes the file of a Volume while the input is in doubt.
func (n *Node) UndeclareInDoubt(name string) {
	n.Declared.Volumes = maps.Clone(n.Declared.Volumes)
	delete(n.Declared.Volumes, name)
	n.Declared.Complete = false
}

// Settle returns the node when there is nothing left to do.
func (n *Node) Settle() *Node {
	GinkgoHelper()
	for range 12 {
		if n.Pass(-1).Empty() {
			return n
		}
	}
	Fail("plans never end")
	return n
}

// SetPassword declares another password for the first initiator of Export db; empty: it cannot be
// read.
func (n *Node) SetPassword(password string) {
	n.EditExport(func(e *spec.ExportSpec) {
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].Auth = &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret(password)}}
		if password == "" {
			e.Initiators[0].Auth.CHAP.Password = spec.Secret{}
		}
	})
}

// AddComplete adds a Volume that is as declared, and has a backstore for another Export.
func (n *Node) AddComplete(name string) {
	GinkgoHelper()
	before := n.Declared.Exports
	n.Declared.Volumes = maps.Clone(n.Declared.Volumes)
	n.Declared.Volumes[name] = spec.Volume{Metadata: Meta(name), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: name, DeletionPolicy: spec.Retain}}
	suspended := before["db"]
	suspended.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
	n.Declared.Exports = map[string]spec.Export{"db": suspended, "mine": {Metadata: Meta("mine"), Spec: spec.ExportSpec{
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
	n.Declared.Exports = maps.Clone(n.Declared.Exports)
	n.Declared.Exports["db"] = before["db"]
}
