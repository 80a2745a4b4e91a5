package observe

import (
	"errors"
	"io/fs"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
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
	mark, inAlias = ondisk.ChooseMark(parseCredential(mark), alias)
	return mark, inAlias && missing == nil, nil
}
