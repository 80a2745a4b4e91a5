package reconcile

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

// movable returns a node with a thin and a thick Volume without snapshots, both exported,
// and Pools in another volume group.
func movable() *node {
	n := newNode()
	n.state.VolumeGroups["vg1"] = observe.VolumeGroup{
		Name: "vg1", UUID: "vg1-uuid", ExtentSize: 32 * mib, Size: 10240 * mib, Free: 10240 * mib, LogicalVolumes: map[string]observe.LogicalVolume{},
	}
	n.desired.Snapshots = nil
	n.desired.Pools["far"] = spec.Pool{Metadata: meta("far"), Spec: spec.PoolSpec{VolumeGroup: "vg1", Clear: spec.ClearZero}}
	n.desired.Pools["farthin"] = spec.Pool{Metadata: meta("farthin"), Spec: spec.PoolSpec{VolumeGroup: "vg1", ThinPool: &spec.ThinPool{Name: "pool1", Size: spec.SizeOrPercent{Percent: 50}}}}
	n.editExport(func(e *spec.ExportSpec) {
		e.LUNs = []spec.LUN{{Volume: "data", Number: ptr(0)}, {Volume: "thick", Number: ptr(1)}}
	})
	n.apply(n.plan())
	n.remember()
	Expect(n.plan().Steps).To(BeEmpty())
	return n
}

// pass is a pass of an agent with a memory that dies after some steps; -1: that does not.
func (n *node) pass(steps int) Plan {
	n.input.Known = Learn(n.input.Known, n.desired, n.state)
	p := n.plan()
	n.input.Known = NoteInterruptions(n.input.Known, p, n.desired, n.state)
	waits := map[StepID]bool{}
	for i, s := range p.Steps {
		waits[s.ID] = steps >= 0 && i >= steps || n.input.Held[s.Object] && !s.AtOnce ||
			slices.ContainsFunc(s.Needs, func(need StepID) bool { return waits[need] })
		if !waits[s.ID] {
			n.change(s.Change)
		}
	}
	return p
}

// restart lets the agent know what is in its memory's file, and nothing else.
func (n *node) restart() {
	GinkgoHelper()
	n.input.Known = maps.Clone(n.input.Known)
	for id, identity := range n.input.Known {
		data, err := json.Marshal(identity)
		Expect(err).NotTo(HaveOccurred())
		var stored Identity
		Expect(json.Unmarshal(data, &stored)).To(Succeed())
		n.input.Known[id] = stored
	}
}

// withhold leaves Export db out. withheld is what is known of it all the same.
func (n *node) withhold(withheld *spec.ExportSpec) {
	if withheld != nil {
		e := n.desired.Exports["db"]
		e.Spec = *withheld
		n.desired.Withheld = map[string]spec.Export{"db": e}
	}
	n.desired.Exports = maps.Clone(n.desired.Exports)
	delete(n.desired.Exports, "db")
	n.desired.Invalid = maps.Clone(n.desired.Invalid)
	n.desired.Invalid[exportID("db")] = errors.New("the password file cannot be read")
	n.desired.Complete = false
}

func (n *node) suspendExport() {
	e := n.desired.Exports["db"]
	e.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
	n.desired.Exports["db"] = e
}

func (n *node) loseVolume(name string) {
	n.desired.Volumes = maps.Clone(n.desired.Volumes)
	delete(n.desired.Volumes, name)
	n.desired.Complete = false
}

// settled returns the node when there is nothing to be done.
func (n *node) settled() *node {
	GinkgoHelper()
	for range 12 {
		if n.pass(-1).Empty() {
			return n
		}
	}
	Fail("plans go on and on")
	return n
}

func (n *node) setPassword(password string) {
	n.editExport(func(e *spec.ExportSpec) {
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].Auth = &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret(password)}}
		if password == "" {
			e.Initiators[0].Auth.CHAP.Password = spec.Secret{}
		}
	})
}

// addWhole adds a Volume that is as desired, and has a backstore for another Export.
func (n *node) addWhole(name string) {
	GinkgoHelper()
	before := n.desired.Exports
	n.desired.Volumes = maps.Clone(n.desired.Volumes)
	n.desired.Volumes[name] = spec.Volume{Metadata: meta(name), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * mib, LVName: name, DeletionPolicy: spec.Retain}}
	suspended := before["db"]
	suspended.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
	n.desired.Exports = map[string]spec.Export{"db": suspended, "mine": {Metadata: meta("mine"), Spec: spec.ExportSpec{
		Protocol: spec.ProtocolISCSI, Target: iqn + "-mine", Portals: []string{"0.0.0.0:3260"}, LUNs: []spec.LUN{{Volume: name, Number: ptr(0)}}, AllowAnyInitiator: true,
	}}}
	known := n.input.Known
	n.input.Known = maps.Clone(known)
	db := n.input.Known[exportID("db")]
	db.Interrupted = nil
	n.input.Known[exportID("db")] = db
	for range 6 {
		n.apply(n.plan())
	}
	n.input.Known = known
	_, there := newIndex(n.state).backstore(volumeID(name))
	Expect(there).To(BeTrue())
	n.desired.Exports = maps.Clone(n.desired.Exports)
	n.desired.Exports["db"] = before["db"]
}
