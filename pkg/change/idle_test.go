package change_test

import (
	"errors"
	"reflect"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// looksAgain are the kinds of changes that say whose session they must not hit. For each its
// actuator has a test in which a session appears between the observation and the step.
var looksAgain = []string{
	"AddPortal", "RemovePortal", "AddLUN", "RemoveLUN", "ResizeLUN", "RemoveInitiator", "MapLUN", "UnmapLUN", "SetWriteProtect", "DisableTarget", "RemoveTarget",
}

// needsNoLook are all others, with the reason.
var needsNoLook = map[string]string{
	"CreateThinPool": "nobody sees it", "CreateVolume": "nobody sees it", "CreateSnapshot": "its origin goes on", "CloneVolume": "nobody sees it",
	"GrowThinPool": "what is there stays", "GrowVolume": "what is there stays", "GrowSnapshot": "what is there stays",
	"SetTags": "nothing is served by it: what follows from a tag is another step, which looks", "Rename": "what is open stays open",
	"Activate": "adds a device", "Deactivate": "the kernel refuses a device that is open, as one that is served is", "RemoveLV": "the kernel refuses a device that is open",
	"Populate": "what it fills is marked, and served by nobody before it is filled", "Stage": "what it fills is marked, and served by nobody",
	"Restore":       "its actuator looks whether the device is open, as one that is served is; the LUN went in an earlier step, which looks",
	"Cutover":       "its actuator looks whether the devices are open, and claims the one; the LUN went in a step that it needs, which looks",
	"StartClearing": "its actuator looks whether the device is open", "SplitSnapshot": "what it splits off was given up", "Clear": "what it clears was given up, and is claimed",
	"WriteImage":     "only reads",
	"InitRepository": "no target", "BackUp": "only reads", "ForgetBackups": "no target", "PruneRepository": "no target", "CheckRepository": "no target",
	"CreateBackstore": "nobody sees it before a LUN is added", "RemoveBackstore": "the kernel refuses one that is linked to a LUN: nobody sees others",
	"SetUnmap": "sessions go on", "SetBackstoreAttribute": "sessions go on; where the kernel takes it from an unlinked one only, the LUN went in a step that looks",
	"SetDiscoveryAuth": "asked at the next discovery", "SetParameter": "sessions go on",
	"CreateTarget": "nobody can log in to it yet", "MoveMark": "sessions go on", "AdoptTarget": "only marked: sessions go on", "AdoptBackstore": "only marked: sessions go on", "SetAttributes": "asked at the next login: sessions go on",
	"AddInitiator": "shows nothing by itself on fabrics with maps; on others what is not for it goes in steps that it needs",
	"SetAuth":      "asked at the next login: sessions go on",
	"SetAccounts":  "asked at the next login; where tgtd must be offline for it, all log in again, to the same",
	"EnableTarget": "lets in, and nobody is logged in before",
}

var _ = Describe("the sessions that a change must not hit", func() {
	It("are decided on for every kind of change", func() {
		for _, c := range change.Kinds() {
			name := change.Name(c)
			_, hasField := reflect.TypeOf(c).FieldByName("Idle")
			idle := change.Idle{All: true, Initiators: []string{"a"}, Unlisted: true, But: []string{"b"}}
			_, got, expects := change.ExpectedIdle(change.WithIdle(c, idle))
			switch looks := ContainElement(name); {
			case needsNoLook[name] != "":
				Expect(looksAgain).NotTo(looks)
				Expect(hasField || expects).To(BeFalse(), name)
				Expect(reflect.DeepEqual(change.WithIdle(c, idle), c)).To(BeTrue(), name)
			case name == "RemoveTarget": // has a word of its own for it
				Expect(looksAgain).To(looks)
				Expect(got).To(Equal(change.Idle{All: true}))
			default:
				Expect(looksAgain).To(looks, "%s: say in one of the two lists whether it can hit whoever has logged in since it was planned", name)
				Expect(hasField).To(BeTrue(), name)
				Expect(got).To(Equal(idle), name)
			}
		}
		Expect(len(looksAgain) + len(needsNoLook)).To(Equal(len(change.Kinds())))
	})

	It("are expected unless a removal is forced", func() {
		_, _, expects := change.ExpectedIdle(change.RemoveTarget{Force: true})
		Expect(expects).To(BeFalse())
	})

	target := observe.Target{
		Fabric: observe.ISCSI, Name: "iqn.x:y", Sessions: 4,
		ACLs:            map[string]observe.ACL{"iqn.c:d": {LoggedIn: true}, "iqn.a:b": {LoggedIn: true}, "iqn.e:f": {}},
		DynamicSessions: []string{"iqn.g:h", "iqn.g:h"},
	}
	unnamed := observe.Target{Fabric: observe.NVMe, Name: "nqn.x:y", Unattributed: []string{"10.0.0.1"}, Sessions: -1}
	DescribeTable("are looked for among those of the target",
		func(t observe.Target, idle change.Idle, who string) {
			err := idle.Check(t)
			if who == "" {
				Expect(err).NotTo(HaveOccurred())
				return
			}
			Expect(errors.Is(err, change.ErrSessions) && errors.Is(err, change.ErrInUse)).To(BeTrue())
			Expect(err).To(MatchError("in use since the plan was made: " + t.Name + " has " + who))
		},
		Entry("all, each named once", target, change.Idle{All: true}, "sessions of iqn.a:b, iqn.c:d, iqn.g:h"),
		Entry("all of a target without any", observe.Target{ACLs: map[string]observe.ACL{"iqn.a:b": {}}, Sessions: -1}, change.Idle{All: true}, ""),
		Entry("all, of whom the kernel names none", observe.Target{Name: "iqn.x:y", Sessions: 2}, change.Idle{All: true}, "2 sessions"),
		Entry("all but those whom the plan names", target, change.Idle{All: true, But: []string{"iqn.a:b", "iqn.g:h"}}, "sessions of iqn.c:d"),
		Entry("one of them", target, change.Idle{Initiators: []string{"iqn.c:d", "iqn.e:f"}}, "sessions of iqn.c:d"),
		Entry("one who is not logged in", target, change.Idle{Initiators: []string{"iqn.e:f"}}, ""),
		Entry("one without an access list", target, change.Idle{Initiators: []string{"iqn.g:h"}}, "sessions of iqn.g:h"),
		Entry("those without an access list", target, change.Idle{Unlisted: true}, "sessions of iqn.g:h"),
		Entry("nobody", target, change.Idle{}, ""),
		Entry("one, where nobody knows who is connected", unnamed, change.Idle{Initiators: []string{"nqn.a:b"}}, "sessions of 10.0.0.1"),
		Entry("those who are not listed, where nobody knows who is connected", unnamed, change.Idle{Unlisted: true}, ""),
		Entry("those whose names tgtd cannot say", observe.Target{Fabric: observe.TGTISCSI, Name: "iqn.x:y", Unattributed: []string{"somebody"}}, change.Idle{Unlisted: true}, "sessions of somebody"),
	)
})
