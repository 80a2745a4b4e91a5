package plan

import "github.com/volreconciler/volreconciler/pkg/ondisk"

// hbas are the directories of backstores that are taken.
type hbas struct {
	// backstores is the number of backstores in a directory, planned ones included.
	backstores map[string]int
	next       int // from which on to look for one that is free
}

// newHBA returns a directory without a backstore, for a new one. If two are in one directory
// targetcli can remove neither, see [ondisk.HBA].
func (d *differ) newHBA() string {
	h := d.hbasInUse()
	for ; ; h.next++ {
		if hba := ondisk.NthHBA(h.next); h.backstores[hba] == 0 {
			h.backstores[hba]++
			return hba
		}
	}
}

// hbaToReuse returns the directory for a backstore that is recreated: the one that it was in,
// unless that has others, or was made by somebody else.
func (d *differ) hbaToReuse(hba string) string {
	if d.hbasInUse().backstores[hba] > 1 || !ondisk.OwnHBA(hba) {
		return d.newHBA()
	}
	return hba
}

func (d *differ) hbasInUse() *hbas {
	if d.hbas.backstores == nil {
		d.hbas.backstores = map[string]int{}
		for _, b := range d.in.Observed.LIO.Backstores {
			d.hbas.backstores[b.HBA]++
		}
	}
	return &d.hbas
}
