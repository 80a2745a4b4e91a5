package spec

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// LoadPaths reads files and directories once, as they are: for checks away from
// the node. It reads no password files. An empty targetPrefix stands for
// [DefaultTargetPrefix].
//
// A file that is named itself is read whatever its name is.
func LoadPaths(paths []string, targetPrefix string) Set { return loadPaths(paths, "", targetPrefix) }

// LoadFileIn reads a directory as it would be with one file more, or with another content of one: that which
// is called name in it, by its path from there. Its findings are those in the file, and those
// elsewhere that there are not without it.
func LoadFileIn(dir, file, name, targetPrefix string) Set {
	file = filepath.Clean(file)
	// The first one read is used, should the file be in the directory already.
	set := loadPaths([]string{file, dir}, filepath.Join(dir, name), targetPrefix)
	place := func(f Finding) string { return f.File + "\x00" + f.Path + "\x00" + f.Err.Error() }
	before := map[string]bool{}
	for _, f := range loadPaths([]string{dir}, "", targetPrefix).Findings {
		before[place(f)] = true
	}
	set.Findings = slices.DeleteFunc(slices.Clone(set.Findings), func(f Finding) bool { return f.File != file && before[place(f)] })
	return set
}

// Revision returns the [Set.Revision] that a [Source] of a directory has while its files are as they are
// now.
func Revision(dir string) string {
	dir = filepath.Clean(dir)
	return revisionOf(dir, list(dir), func(e entry) (digest [sha256.Size]byte) {
		if data, _, err := readFile(e.real); err == nil {
			digest = sha256.Sum256(data)
		}
		return digest
	})
}

// LoadSchedules reads the SnapshotSchedules of files and directories that are valid by themselves. What they refer
// to need not be there. The findings are those of schedules, and of what cannot be read.
func LoadSchedules(paths []string) ([]SnapshotSchedule, []Finding) {
	objects, invalid, findings := readPaths(paths, "", "")
	var schedules []SnapshotSchedule
	for _, o := range objects {
		if s, is := o.value.(*SnapshotSchedule); is && invalid[o.id] == nil {
			schedules = append(schedules, *s)
		}
	}
	return schedules, slices.DeleteFunc(findings, func(f Finding) bool {
		return f.Object != (ID{}) && f.Object.Kind != KindSnapshotSchedule
	})
}

// loadPaths is LoadPaths without one file of the directories.
func loadPaths(paths []string, without, targetPrefix string) Set {
	objects, invalid, findings := readPaths(paths, without, targetPrefix)
	return assemble(objects, invalid, findings, nil)
}

// readPaths returns all objects, those that are invalid by themselves, and what is wrong so far.
func readPaths(paths []string, without, targetPrefix string) (_ []*object, invalid map[ID]error, _ []Finding) {
	targetPrefix = cmp.Or(targetPrefix, DefaultTargetPrefix)
	good := lastGood{}
	var findings []Finding
	var all []reading
	seen := map[string]bool{} // by real path: a file may be named twice
	for _, path := range paths {
		path = filepath.Clean(path)
		found := listPath(path)
		findings = append(findings, found.problems...)
		var readings []reading
		for _, e := range found.entries {
			if e.path == without && len(found.dirs) > 0 {
				continue
			}
			if !seen[e.real] {
				seen[e.real] = true
				readings = append(readings, readOnce(e, targetPrefix))
			}
		}
		// Only a directory must hold objects, and it does if they have been read
		// by another name.
		mayBeEmpty := len(found.dirs) == 0 || len(readings) < len(found.entries)
		objects, more := decideLastGood(nil, nil, path, readings, func(string) bool { return mayBeEmpty })
		findings = append(findings, more...)
		for file, of := range objects {
			good[file] = of
		}
		all = append(all, readings...)
	}
	objects := good.objects()
	return objects, good.invalid(all), withoutPasswords(findings, objects)
}

// listPath lists a directory, or a single file.
func listPath(path string) listing {
	stat, err := os.Stat(path)
	if err == nil && !stat.IsDir() {
		var resolved string
		if resolved, err = realPath(path); err == nil {
			return listing{entries: []entry{{path, resolved, stampOf(stat)}}}
		}
	}
	if err != nil {
		var l lister
		l.problem(path, "cannot read it", err)
		return l.listing
	}
	return list(path)
}

// readOnce reads a file that nobody is writing.
func readOnce(e entry, targetPrefix string) reading {
	data, _, err := readFile(e.real)
	if err != nil {
		return reading{path: e.path, problem: readProblem(err)}
	}
	return reading{path: e.path, content: read(e.path, data, targetPrefix)}
}

// readProblem says why a file cannot be read. The finding that holds it has the
// path already.
func readProblem(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("cannot read the file: %w", err)
}
