package spec

import (
	"hash/fnv"
	"os"
	"strconv"
	"time"
)

// followed is what a Load depended on: what to watch for the next one.
type followed struct {
	// print is of everything that was looked at; equal prints, equal input.
	// Zero is equal to nothing.
	print   uint64
	secrets []string
	points  points
}

// points are the directories to watch, with the names in them that matter; no
// map means that every name does.
type points map[string]map[string]bool

// next returns what a pass depended on. The trails are only walked again if
// something has changed: with thousands of links they cost more than the pass.
func (f followed) next(dir string, found listing, secrets []string, settled bool) followed {
	n := followed{secrets: secrets, points: f.points, print: fingerprint(found, secrets)}
	if f.points == nil || n.print != f.print {
		n.points = pointsOf(dir, found, secrets)
	}
	if !settled || hasRecentChange(found, time.Now()) {
		n.print = 0
	}
	return n
}

// hasRecentChange reports whether a file changed so recently that it may change once
// more without its times telling.
func hasRecentChange(found listing, now time.Time) bool {
	for _, e := range found.entries {
		if now.Sub(e.stamp.mtime) < coarse || now.Sub(e.stamp.ctime) < coarse {
			return true
		}
	}
	return false
}

// fingerprint sums up all that the kernel tells about the files without reading
// them.
func fingerprint(found listing, secrets []string) uint64 {
	h := fnv.New64a()
	line := make([]byte, 0, 512)
	add := func(path, target string, s stamp) {
		line = append(append(append(append(line[:0], path...), 0), target...), 0)
		for _, n := range []int64{
			int64(s.dev), int64(s.ino), int64(s.mode), s.size, s.mtime.UnixNano(), s.ctime.UnixNano(),
		} {
			line = append(strconv.AppendInt(line, n, 36), ' ')
		}
		_, _ = h.Write(append(line, '\n'))
	}
	for _, e := range found.entries {
		add(e.path, e.real, e.stamp)
	}
	for _, dir := range found.dirs {
		add(dir, "", stamp{})
	}
	for _, p := range found.problems {
		add(p.Error(), "", stamp{})
	}
	for _, path := range secrets {
		if stat, err := os.Stat(path); err == nil {
			add(path, "", stampOf(stat))
		}
	}
	return max(1, h.Sum64())
}

// pointsOf collects the directories to watch: those of the listing as a whole,
// and in others the names that lead to the directory, to where its links go,
// and to the password files.
func pointsOf(dir string, found listing, secrets []string) points {
	p := points{}
	paths := append([]string{dir}, found.links...)
	for _, path := range append(paths, secrets...) {
		for _, s := range trail(path) {
			if p[s.dir] == nil {
				p[s.dir] = map[string]bool{}
			}
			p[s.dir][s.name] = true
		}
	}
	for _, d := range found.dirs {
		p[d] = nil
	}
	return p
}
