package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// savedFiles are what targetctl(8) and nvmetcli restore from: on Debian, and elsewhere.
var savedFiles = []string{rtslibSaved, "/etc/target/saveconfig.json", nvmetSaved}

const (
	rtslibSaved = "/etc/rtslib-fb-target/saveconfig.json"
	nvmetSaved  = "/etc/nvmet/config.json"
)

// unitDirs are where links of units that start at boot are, systemd.unit(5).
var unitDirs = []string{"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// services looks for what else changes targets and devices.
func (g *gatherer) services(n needs) {
	if n.exports() {
		g.facts.Services = map[string]Service{}
		for _, unit := range []string{unitRTSLib, unitTarget, unitNVMet, unitTGT} {
			g.facts.Services[unit] = Service{Enabled: g.isEnabled(unit)}
		}
		for _, file := range savedFiles {
			g.saved(file)
		}
	}
	for _, pid := range g.processes() {
		if g.text(fmt.Sprintf("/proc/%d/comm", pid)) == "multipathd" {
			g.facts.Multipath.Running = true
		}
	}
	g.facts.Multipath.Exceptions = map[string]string{}
	files := []string{"/etc/multipath.conf"}
	for _, name := range g.names("/etc/multipath/conf.d") {
		files = append(files, "/etc/multipath/conf.d/"+name)
	}
	for _, file := range files {
		for _, expression := range parseExceptions(g.text(file)) {
			g.facts.Multipath.Exceptions[expression] = file
		}
	}
}

// isEnabled reports whether a unit is wanted by another one and not masked.
func (g *gatherer) isEnabled(unit string) bool {
	if to, err := g.Readlink("/etc/systemd/system/" + unit); err == nil && to == "/dev/null" {
		return false
	}
	for _, dir := range unitDirs {
		for _, name := range g.names(dir) {
			if (strings.HasSuffix(name, ".wants") || strings.HasSuffix(name, ".requires")) && g.exists(dir+"/"+name+"/"+unit) {
				return true
			}
		}
	}
	return false
}

// saved reads a file of targetcli or nvmetcli.
func (g *gatherer) saved(file string) {
	data, err := g.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var s Saved
	if err == nil {
		s, err = parseSaved(data)
	}
	if err != nil {
		g.unread(file, err)
		return
	}
	s.Path = file
	g.facts.Saved = append(g.facts.Saved, s)
}

// parseSaved reads what "targetcli saveconfig" or "nvmetcli save" wrote.
func parseSaved(data []byte) (Saved, error) {
	var written struct {
		StorageObjects []struct {
			Name string `json:"name"`
			Dev  string `json:"dev"`
		} `json:"storage_objects"`
		Targets []struct {
			WWN string `json:"wwn"`
		} `json:"targets"`
		Subsystems []struct {
			NQN        string `json:"nqn"`
			Namespaces []struct {
				NSID   int `json:"nsid"`
				Device struct {
					Path string `json:"path"`
				} `json:"device"`
			} `json:"namespaces"`
		} `json:"subsystems"`
	}
	if err := json.Unmarshal(data, &written); err != nil {
		return Saved{}, err
	}
	s := Saved{Backing: map[string]string{}}
	for _, o := range written.StorageObjects {
		s.Backing[o.Name] = o.Dev
	}
	for _, t := range written.Targets {
		s.Targets = append(s.Targets, t.WWN)
	}
	for _, sub := range written.Subsystems {
		s.Targets = append(s.Targets, sub.NQN)
		for _, ns := range sub.Namespaces {
			s.Backing[fmt.Sprintf("%s namespace %d", sub.NQN, ns.NSID)] = ns.Device.Path
		}
	}
	return s, nil
}

var (
	multipathComment = regexp.MustCompile(`(?m)^([^"#!]*("[^"]*"[^"#!]*)*)[#!].*$`)
	exceptions       = regexp.MustCompile(`(?s)\bblacklist_exceptions\s*\{(.*?)\n?\s*\}`)
	devnode          = regexp.MustCompile(`\bdevnode\s+(?:"([^"]*)"|(\S+))`)
)

// parseExceptions returns the regular expressions for device nodes that a multipath.conf(5) excepts from
// the blacklist.
func parseExceptions(text string) []string {
	var found []string
	for _, section := range exceptions.FindAllStringSubmatch(multipathComment.ReplaceAllString(text, "$1"), -1) {
		for _, m := range devnode.FindAllStringSubmatch(section[1], -1) {
			found = append(found, m[1]+m[2])
		}
	}
	return found
}
