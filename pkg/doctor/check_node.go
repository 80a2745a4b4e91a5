package doctor

import (
	"fmt"
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

func checkSpecs(f Facts) []Finding {
	if len(f.Set.Findings) == 0 {
		return nil
	}
	first := f.Set.Findings[0].Error()
	if more := len(f.Set.Findings) - 1; more > 0 {
		first += fmt.Sprintf(" (and %d more)", more)
	}
	return []Finding{{
		Severity: Error, Subject: f.Paths.Specs, Text: first,
		Consequence: "the agent works with what the file said before; nothing is deleted or unexported on this node until it is corrected",
		Command:     "correct the file; look: volreconciler plan --specs " + f.Paths.Specs,
	}}
}

func checkUnread(f Facts) []Finding {
	var all []Finding
	for _, what := range f.Unread {
		all = append(all, Finding{
			Severity: Warning, Subject: "this node", Text: what,
			Consequence: "the checks that depend on it find nothing", Command: "correct what the text names, and run this command again",
		})
	}
	for _, system := range slices.Sorted(maps.Keys(f.State.Unknown)) {
		if system == observe.LVM && !f.Programs["lvm"] {
			continue // which has a finding of its own
		}
		all = append(all, Finding{
			Severity: Warning, Subject: string(system), Text: f.State.Unknown[system].Error(),
			Consequence: "nothing in it is changed, and nothing is deleted on this node, until it can be read", Command: "correct what the text names; look: dmesg",
		})
	}
	return all
}

func checkPaths(f Facts) []Finding {
	var all []Finding
	for _, path := range slices.Sorted(maps.Keys(f.Paths.Unsafe)) {
		found := Finding{
			Severity: Warning, Subject: path, Text: f.Paths.Unsafe[path],
			Consequence: "who can change the specs can read, replace and delete every volume of this node",
			Command:     "chmod go-w and chown root, as the text says; if that user is meant to deploy specs, nothing",
		}
		if path == f.Paths.StateDir {
			found.Severity, found.Command = Error, "chmod go-w and chown root, as the text says"
			found.Consequence = "the agent does not start: who can change the state could make it delete or export other volumes"
		}
		all = append(all, found)
	}
	return all
}

func checkConfig(f Facts) []Finding {
	if len(f.Paths.Exposed) == 0 {
		return nil
	}
	return []Finding{{
		Severity: Warning, Subject: f.Paths.Config, Text: "every user can read it, and it has secrets: " + some(f.Paths.Exposed),
		Consequence: "every user of this node can send messages to the webhook",
		Command:     "chmod 0640 " + f.Paths.Config,
	}}
}

// leastState is the space that the state directory needs: it has a few files of the size of the specs.
const leastState = 64 << 20

func checkSpace(f Facts) []Finding {
	var all []Finding
	p := f.Paths
	if s, known := p.Space[p.StateDir]; known && s.Free < leastState {
		all = append(all, Finding{
			Severity: Warning, Subject: p.StateDir, Text: fmt.Sprintf("its file system has %s free", size(s.Free)),
			Consequence: "the agent cannot remember what it made, and then changes nothing", Command: "free space; look: df " + p.StateDir,
		})
	}
	if s, known := p.Space[p.ImageCache]; known && needsOf(f.Set).downloads && s.Free+p.CacheUsed < p.CacheSize {
		all = append(all, Finding{
			Severity: Warning, Subject: p.ImageCache, Text: fmt.Sprintf("the image cache may have %s (image-cache-size), but its file system has %s for it", size(p.CacheSize), size(s.Free+p.CacheUsed)),
			Consequence: "downloads may fill the file system, and fail",
			Command:     "set a smaller image-cache-size, or another image-cache, in /etc/volreconciler/config.yaml",
		})
	}
	return all
}

func checkClock(f Facts) []Finding {
	if !f.ClockUnsynchronized || !needsOf(f.Set).trash {
		return nil
	}
	return []Finding{{
		Severity: Warning, Subject: "clock", Text: "the kernel reports that the clock is not synchronized",
		Consequence: "with a wrong clock, deleted volumes leave the trash too early or too late",
		Command:     "apt install systemd-timesyncd or chrony; look: timedatectl",
	}}
}

// How many directories of targets the agent watches with inotify: measured with lvm2 2.03.31 and a 7.2 kernel,
// 1 to 6 iSCSI Exports, where fanotify reports what is written. watchesPerLUN includes the backstore.
const (
	watchesPerExport = 11
	watchesPerLUN    = 4
	watchesElse      = 20
)

// watchesFor estimates how many directories the agent watches for the Exports.
func watchesFor(f Facts) int {
	sum := watchesElse
	for _, e := range f.Set.Exports {
		initiators, luns := len(e.Spec.Initiators), len(e.Spec.LUNs)
		sum += watchesPerExport + initiators + watchesPerLUN*luns + initiators*luns
	}
	return sum
}

func checkWatches(f Facts) []Finding {
	want := watchesFor(f)
	if f.Watches == 0 || want <= f.Watches || len(f.Set.Exports) == 0 {
		return nil
	}
	return []Finding{{
		Severity: Warning, Subject: "fs.inotify.max_user_watches", Text: fmt.Sprintf("is %d; the declared Exports need about %d", f.Watches, want),
		Consequence: "changes that other programs make to targets are corrected only after the next --resync",
		Command:     fmt.Sprintf("echo fs.inotify.max_user_watches=%d > /etc/sysctl.d/volreconciler.conf; sysctl --system", 2*want),
	}}
}

func checkAgent(f Facts) []Finding {
	if f.Agent.Answers {
		return nil
	}
	return []Finding{{
		Severity: Note, Subject: f.Agent.Socket, Text: "no agent answers there", Consequence: "nothing is kept as declared while it does not run",
		Command: "start the agent: volreconciler run --specs " + f.Paths.Specs,
	}}
}
