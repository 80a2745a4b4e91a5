package spec

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links the kernel follows in one path.
const maxLinks = 40

// step is a name in a directory. Directories are free of symbolic links.
type step struct{ dir, name string }

// trail returns the names that decide what a path leads to: every symbolic link
// on the way, and the last name. If the path leads nowhere, it ends with the
// first name that is missing. A change to any of them may change what is found.
func trail(path string) []step {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil // the working directory is gone; polling remains
	}
	var steps []step
	at, rest := "/", split(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		here := filepath.Join(at, name)
		stat, err := os.Lstat(here)
		if err != nil {
			return append(steps, step{at, name})
		}
		if stat.Mode()&os.ModeSymlink == 0 {
			if len(rest) == 0 {
				steps = append(steps, step{at, name})
			}
			at = here
			continue
		}
		steps = append(steps, step{at, name})
		to, err := os.Readlink(here)
		if links++; err != nil || links > maxLinks {
			return steps
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(split(to), rest...)
	}
	return steps
}

// split returns the names in a path.
func split(path string) []string {
	return strings.FieldsFunc(filepath.Clean(path), func(r rune) bool { return r == filepath.Separator })
}
