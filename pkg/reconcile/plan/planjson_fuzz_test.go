package plan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// FuzzPlanJSON puts anything into a plan: its JSON must be valid, say the same
// when it is read again, and never tell a password.
func FuzzPlanJSON(f *testing.F) {
	f.Add("vg0", "data", "volreconciler/name=data", "iqn.a:b", uint64(1<<30))
	f.Add("\"", "\\", "\x00", "<redacted>", uint64(1<<63))
	f.Add("</script>", "é\u2028", "%s%n", "-", uint64(0))
	const password = "the-password-that-nobody-sees"
	f.Fuzz(func(t *testing.T, vg, name, tag, iqn string, size uint64) {
		lv := change.LV{VolumeGroup: vg, Name: name, UUID: tag}
		auth := change.Auth{Username: iqn, Password: spec.NewSecret(password), MutualUsername: name, MutualPassword: spec.NewSecret(password)}
		p := PlanOf(
			Step{Object: spec.ID{Kind: spec.KindVolume, Name: name}, Change: change.CreateVolume{LV: lv, Size: spec.Size(size), Tags: []string{tag}}, Why: tag, Danger: Harmless, Affects: []string{iqn}},
			Step{Object: spec.ID{Kind: spec.KindExport, Name: name}, Change: change.AddInitiator{Target: change.Target{Fabric: observe.ISCSI, Name: iqn, Export: name}, Initiator: tag, Auth: auth}, Needs: []StepID{1}},
			Step{Object: spec.ID{Kind: spec.KindVolume, Name: name}, Change: change.RemoveLV{LV: lv, Tags: []string{tag}}, Danger: Destructive},
		)
		p.Objects = []status.Object{{Kind: spec.KindVolume, Name: name, Phase: status.Blocked, Reason: tag, Message: iqn}}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), password) {
			t.Fatalf("the password is in %s", text)
		}
		var again struct {
			Steps []struct {
				ID     StepID
				Object struct{ Kind, Name string }
				Type   string
				Change struct {
					VolumeGroup, Name, UUID, Size string
				}
				Needs   []StepID
				Danger  Danger
				Affects []string
			}
			Objects []status.Object
		}
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if len(again.Steps) != len(p.Steps) || len(again.Objects) != 1 || again.Steps[2].Danger != Destructive || again.Steps[1].Needs[0] != 1 {
			t.Fatalf("another plan: %s", text)
		}
		// JSON is Unicode: what is not is replaced.
		if utf8.ValidString(vg) && utf8.ValidString(name) && utf8.ValidString(tag) && utf8.ValidString(iqn) {
			first := again.Steps[0]
			if first.Change.VolumeGroup != vg || first.Change.Name != name || first.Change.UUID != tag || first.Object.Name != name || first.Change.Size != spec.Size(size).String() || first.Affects[0] != iqn {
				t.Fatalf("not the same again: %s", text)
			}
		}
	})
}
