package observe

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// ReadMark reads the mark of an iSCSI target's owner, and whether its alias holds it
// as well, or alone, which is not where it belongs. The error is fs.ErrNotExist if
// there is no portal group.
func ReadMark(h host.Files, dir TargetDir) (mark string, inAlias bool, err error) {
	mark, missing := readText(h, dir.Mark())
	// A node that an older version captured has the alias alone. If it is the portal
	// group that is gone, its alias is gone, too.
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return "", false, missing
	}
	alias, err := readText(h, dir.Alias())
	if err != nil {
		return "", false, err
	}
	mark, inAlias = chooseMark(parseCredential(mark), alias)
	return mark, inAlias && missing == nil, nil
}

// chooseMark returns the mark of the two texts that a target may have it in. Two that
// contradict each other are none: whose the target is cannot be told.
func chooseMark(mark, alias string) (chosen string, inAlias bool) {
	marked, inAlias := strings.HasPrefix(mark, aliasPrefix), strings.HasPrefix(alias, aliasPrefix)
	switch {
	case marked && inAlias && mark != alias:
		return "both " + mark + " and " + alias, false
	case inAlias:
		return alias, true
	case mark != "":
		return mark, false
	default:
		return alias, false
	}
}
