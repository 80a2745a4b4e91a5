package connect

import (
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// FCData is the data of a connection over Fibre Channel. Port names are the 16
// hexadecimal digits alone, as in Cinder.
type FCData struct {
	// TargetDiscovered is true, as in Cinder: the fabric finds the target.
	TargetDiscovered bool `json:"target_discovered"`
	TargetLUN        int  `json:"target_lun"`
	// TargetWWN is a port name, or with multipath a list of them.
	TargetWWN  any      `json:"target_wwn"`
	TargetWWNs []string `json:"target_wwns,omitempty"`
	TargetLUNs []int    `json:"target_luns,omitempty"`
	// InitiatorTargetMap says which ports of the target each of the initiator's
	// is to be zoned with.
	InitiatorTargetMap map[string][]string `json:"initiator_target_map"`
	// VolumeID is the name of the Volume or Snapshot.
	VolumeID string `json:"volume_id"`
	// AccessMode is rw or ro.
	AccessMode string `json:"access_mode"`
	Discard    bool   `json:"discard"`
	Encrypted  bool   `json:"encrypted"`
}

func (c Connection) fcData(lun LUN) FCData {
	target := digits(c.target())
	data := FCData{
		TargetDiscovered: true, TargetLUN: lun.Number, TargetWWN: target,
		InitiatorTargetMap: map[string][]string{digits(c.initiator.Name): {target}},
		VolumeID:           lun.Object.Name, AccessMode: c.accessMode(lun), Discard: lun.Discard,
	}
	if c.request.Multipath {
		data.TargetWWN, data.TargetWWNs, data.TargetLUNs = []string{target}, []string{target}, []int{lun.Number}
	}
	return data
}

// digits returns the digits of a port name, which Resolve has checked.
func digits(wwpn string) string {
	name, err := spec.NormalizeWWPN(wwpn)
	if err != nil {
		return wwpn
	}
	return strings.TrimPrefix(name, "naa.")
}

// fcScript looks for the LUNs. There is nothing to log in to: the ports do that.
func (c Connection) fcScript(s *script) {
	port := "0x" + digits(c.initiator.Name)
	s.line("found=")
	s.line("for host in /sys/class/fc_host/host*; do")
	s.line("\t[ \"$(cat \"$host/port_name\" 2>/dev/null)\" = %s ] || continue", port)
	s.line("\tfound=1")
	for _, lun := range c.request.LUNs {
		s.line("\techo '- - %d' >\"/sys/class/scsi_host/${host##*/}/scan\"", lun.Number)
	}
	s.line("done")
	s.line(`[ -n "$found" ] || { echo "this host has no Fibre Channel port %s" >&2; exit 1; }`, port)
}
