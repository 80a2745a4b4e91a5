package nodespec

import (
	"encoding/json"
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// SavedConfigs are where targetcli saves its configuration, which rtslib restores at boot: upstream's
// place, and Debian's.
var SavedConfigs = []string{"/etc/target/saveconfig.json", "/etc/rtslib-fb-target/saveconfig.json"}

// saved is what matters here of targetcli's configuration (rtslib_fb/root.py, RTSRoot.dump).
type saved struct {
	StorageObjects []struct {
		Plugin string `json:"plugin"`
		Name   string `json:"name"`
		Dev    string `json:"dev"`
	} `json:"storage_objects"`
	Targets []struct {
		Fabric string `json:"fabric"`
		WWN    string `json:"wwn"`
	} `json:"targets"`
}

// Unloaded returns what targetcli has saved and the kernel does not have, so that it would appear at
// the next boot only.
func Unloaded(file string, content []byte, state observe.State) ([]Omission, error) {
	var s saved
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file, err)
	}
	why := "it is in " + file + ", but not loaded. Load it (targetctl restore), or remove it there"
	var all []Omission
	loaded := map[string]bool{}
	for _, b := range state.LIO.Backstores {
		loaded[b.Name] = true
	}
	for _, o := range s.StorageObjects {
		if o.Plugin == "block" && !loaded[o.Name] { // others are not observed
			all = append(all, Omission{fmt.Sprintf("saved backstore %s on %s", o.Name, o.Dev), why})
		}
	}
	for _, t := range s.Targets {
		if _, there := state.LIO.ISCSI[t.WWN]; t.Fabric == "iscsi" && !there {
			all = append(all, Omission{"saved target " + t.WWN, why})
		}
	}
	return all, nil
}
