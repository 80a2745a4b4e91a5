package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// refusal is deletions that a plan must not have, because they are more than
// anybody is likely to mean.
type refusal struct {
	objects map[spec.ID]bool
	why     string
}

// maxShown is how many objects a refusal names.
const maxShown = 10

// excess looks at the objects that no file names and that lose something now, or
// will when their grace period is over or nobody uses them any more. If they are
// too many, or all that there is, and no Pool permits exactly them, all of them
// are refused.
//
// Those that cannot be deleted yet count like the others, so that a mistake
// which is too large to be meant does not become small enough bit by bit.
// What is in the trash counted when it went there. So do those whose volume
// group cannot be read now, and which would follow when it can be.
func (d *differ) excess() refusal {
	if len(d.ledger.losses) == 0 {
		return refusal{}
	}
	unread := d.unread()
	n := len(d.ledger.losses) + unread
	nothingLeft := len(d.in.Desired.IDs())+len(d.in.Desired.Invalid) == 0
	token := d.token()
	if n <= d.in.MaxDeletions && !nothingLeft || d.permitted(token) {
		return refusal{}
	}
	out := refusal{objects: map[spec.ID]bool{}}
	var names []string
	for id := range d.ledger.losses {
		out.objects[id] = true
		names = append(names, id.String())
	}
	slices.Sort(names)
	if more := len(names) - maxShown; more > 0 {
		names = append(names[:maxShown], fmt.Sprintf("and %d more", more))
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

// unread is how many objects that no file names have, as far as is remembered,
// a logical volume in a volume group that cannot be read. Whether one of them is
// in the trash, and counted once already, cannot be told.
func (d *differ) unread() int {
	n := 0
	for id, known := range d.in.Known {
		if id.Kind != spec.KindVolume && id.Kind != spec.KindSnapshot || known.Retain || d.names(id) {
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

// token stands for the objects that lose something and for what they lose. It
// fits no other set, and not the same names with other data behind them.
func (d *differ) token() string {
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

// permitted reports whether a Pool carries the token.
func (d *differ) permitted(token string) bool {
	for _, p := range d.in.Desired.Pools {
		if p.Metadata.Annotations[spec.AnnotationAllowDeletions] == token {
			return true
		}
	}
	return false
}
