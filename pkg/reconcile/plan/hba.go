package plan

import "github.com/volreconciler/volreconciler/pkg/ondisk"

// hbas says which directories of backstores are taken.
type hbas struct {
	// holds is how many backstores a directory has, those that are planned included.
	holds map[string]int
	next  int // from which on to look for one that is free
}

// newHBA returns a directory in which there is no backstore yet, for a new one. Of two in
// one directory targetcli can remove neither, see [ondisk.HBA].
func (d *differ) newHBA() string {
	h := d.hbasInUse()
	for ; ; h.next++ {
		if hba := ondisk.NthHBA(h.next); h.holds[hba] == 0 {
			h.holds[hba]++
			return hba
		}
	}
}

// hbaAgain returns the directory for a backstore that is removed and made anew: the one that
// it was in, unless others are in it, too.
func (d *differ) hbaAgain(hba string) string {
	if d.hbasInUse().holds[hba] > 1 {
		return d.newHBA()
	}
	return hba
}

func (d *differ) hbasInUse() *hbas {
	if d.hbas.holds == nil {
		d.hbas.holds = map[string]int{}
		for _, b := range d.in.Observed.LIO.Backstores {
			d.hbas.holds[b.HBA]++
		}
	}
	return &d.hbas
}
