package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// refusal is the set of deletions that a plan must not have, because they are more than anybody is
// likely to mean.
type refusal struct {
	objects map[spec.ID]bool
	why     string
}

// maxRefusedNames is how many objects a refusal names.
const maxRefusedNames = 10

// excessDeletions returns the undeclared objects that are deleted now, or when their grace period
// ends and nobody uses them any more, if they are too many, or all objects, and no Pool permits
// exactly them.
//
// Objects that cannot be deleted yet are included, so that a mistake that is refused does not pass
// little by little. What is in the trash was included when it was put there. Objects in volume
// groups that cannot be read are included, because they would follow.
func (d *differ) excessDeletions() refusal {
	if len(d.ledger.losses) == 0 {
		return refusal{}
	}
	unread := d.countUnread()
	n := len(d.ledger.losses) + unread
	nothingLeft := len(d.in.Declared.IDs())+len(d.in.Declared.Invalid) == 0
	token := d.deletionToken()
	if n <= d.in.MaxDeletions && !nothingLeft || d.isPermitted(token) {
		return refusal{}
	}
	out := refusal{objects: map[spec.ID]bool{}}
	var names []string
	for id := range d.ledger.losses {
		out.objects[id] = true
		names = append(names, id.String())
	}
	slices.Sort(names)
	if more := len(names) - maxRefusedNames; more > 0 {
		names = append(names[:maxRefusedNames], fmt.Sprintf("and %d more", more))
	}
	if unread > 0 {
		names = append(names, fmt.Sprintf("and %d in volume groups that cannot be read", unread))
	}
	objects := "1 object"
	if n != 1 {
		objects = fmt.Sprintf("%d objects", n)
	}
	list := strings.Join(names, ", ")
	if nothingLeft {
		out.why = fmt.Sprintf("no file declares anything, so %s would be deleted: %s. None is. Restore the files; or, to delete the objects, keep a file with a Pool", objects, list)
	} else {
		out.why = fmt.Sprintf("%s would be deleted at once, more than --max-deletions %d: %s. None is. If that is not intended, restore their files", objects, d.in.MaxDeletions, list)
	}
	if n > d.in.MaxDeletions {
		out.why += fmt.Sprintf(". To allow exactly these, annotate any Pool with %s: %q, and remove the annotation afterwards", spec.AnnotationAllowDeletions, token)
	}
	return out
}

// countUnread returns how many undeclared objects have, as far as is remembered, a logical volume
// in a volume group that cannot be read. Some of them may be in the trash, and are counted again.
func (d *differ) countUnread() int {
	n := 0
	for id, known := range d.in.Known {
		if id.Kind != spec.KindVolume && id.Kind != spec.KindSnapshot || known.Retain || d.isDeclared(id) {
			continue
		}
		if _, seen := d.ledger.losses[id]; seen {
			continue
		}
		if _, _, err := d.in.Observed.Group(known.VolumeGroup); err != nil {
			n++
		}
	}
	return n
}

// deletionToken identifies the objects that are deleted, and their data. It permits no other set,
// and not the same names with other data.
func (d *differ) deletionToken() string {
	var lines []string
	for id, things := range d.ledger.losses {
		for _, thing := range things {
			lines = append(lines, id.String()+" "+thing+"\n")
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:8])
}

// isPermitted reports whether a Pool carries the token.
func (d *differ) isPermitted(token string) bool {
	for _, p := range d.in.Declared.Pools {
		if p.Metadata.Annotations[spec.AnnotationAllowDeletions] == token {
			return true
		}
	}
	return false
}
