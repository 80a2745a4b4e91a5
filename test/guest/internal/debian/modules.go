package debian

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Modules is the folder of the kernel's modules.
func (k Kernel) Modules() string { return filepath.Join(k.Dir, "usr/lib/modules", k.Version) }

// ModuleFiles returns the paths of the named modules and of all that they need, in an
// order in which they can be loaded. Those that the kernel holds itself are left out.
func (k Kernel) ModuleFiles(names ...string) ([]string, error) {
	dep, err := os.Open(filepath.Join(k.Modules(), "modules.dep"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = dep.Close() }()
	deps, err := parseDependencies(dep)
	if err != nil {
		return nil, err
	}
	files := deps.order(names...)
	for i, file := range files {
		files[i] = filepath.Join(k.Modules(), file)
	}
	return files, nil
}

// dependencies is the content of a modules.dep: what each module file needs,
// all of it, the nearest first. Paths are relative to the modules' directory.
type dependencies map[string][]string

func parseDependencies(r io.Reader) (dependencies, error) {
	deps := dependencies{}
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		module, needs, ok := strings.Cut(scanner.Text(), ":")
		if !ok {
			return nil, fmt.Errorf("modules.dep: no colon in %q", scanner.Text())
		}
		deps[module] = strings.Fields(needs)
	}
	return deps, scanner.Err()
}

// order returns the files of the named modules and of all that they need, in an
// order in which they can be loaded. Names that have no file are left out: the
// kernel may hold them itself.
func (d dependencies) order(names ...string) []string {
	files := map[string]string{}
	for file := range d {
		files[moduleName(file)] = file
	}
	var ordered []string
	seen := map[string]bool{}
	add := func(file string) {
		if !seen[file] {
			seen[file] = true
			ordered = append(ordered, file)
		}
	}
	for _, name := range names {
		file, ok := files[moduleName(name)]
		if !ok {
			continue
		}
		needs := d[file]
		for i := len(needs) - 1; i >= 0; i-- {
			add(needs[i])
		}
		add(file)
	}
	return ordered
}

// moduleName turns a file or a name into the kernel's name of a module, in
// which there are no dashes.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
