package debian

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// archive is apt with a configuration, lists and cache of its own, for packages
// of one suite. The host's apt, and what is installed there, do not matter to it.
type archive struct {
	dir     string
	suite   Suite
	options []string
}

// openArchive fetches the lists of a suite's packages into dir.
func openArchive(ctx context.Context, dir string, suite Suite) (*archive, error) {
	sources, err := sourcesOf(ctx, suite)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	var list strings.Builder
	for _, s := range sources {
		list.WriteString(s.String() + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(list.String()), 0o644); err != nil {
		return nil, err
	}
	a := &archive{dir: dir, suite: suite, options: []string{
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(dir, "sources.list"),
		"-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::State::Lists=" + filepath.Join(dir, "lists"),
		"-o", "Dir::Cache=" + filepath.Join(dir, "cache"),
		// Otherwise apt looks for the versions that the host has.
		"-o", "Dir::State::status=/dev/null",
		// Nothing here belongs to a user of apt's own.
		"-o", "APT::Sandbox::User=",
	}}
	_, err = output(ctx, "apt-get", append(a.options, "update", "-qq")...)
	return a, err
}

// field returns a field of a package's newest version.
func (a *archive) field(ctx context.Context, name, field string) (string, error) {
	text, err := output(ctx, "apt-cache", append(a.options, "show", "--no-all-versions", name)...)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+": "); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", nil
}

// names returns the packages whose names match an extended regular expression.
func (a *archive) names(ctx context.Context, pattern string) ([]string, error) {
	text, err := output(ctx, "apt-cache", append(a.options, "search", "--names-only", pattern)...)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(text) {
		if name, _, ok := strings.Cut(line, " "); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// pinned is the version wanted, if the archive still has it, and otherwise the
// newest, which one printed line says.
func (a *archive) pinned(ctx context.Context, name, version string) (string, error) {
	versions, err := a.versions(ctx, name)
	if err != nil || slices.Contains(versions, version) {
		return version, err
	}
	return a.instead(name, version, name, versions[0]), nil
}

// versions returns what the archive has of a package, the newest first: one at least.
func (a *archive) versions(ctx context.Context, name string) ([]string, error) {
	text, err := output(ctx, "apt-cache", append(a.options, "madison", name)...)
	if err != nil {
		return nil, err
	}
	var versions []string
	for line := range strings.Lines(text) {
		if fields := strings.Split(line, "|"); len(fields) > 1 {
			versions = append(versions, strings.TrimSpace(fields[1]))
		}
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("package %s is not in Debian %s", name, a.suite)
	}
	return versions, nil
}

// instead says that a version is taken in the place of one that has gone, and returns it.
func (a *archive) instead(name, version, other, otherVersion string) string {
	say("%s %s is no longer in Debian %s, taking %s %s", name, version, a.suite, other, otherVersion)
	return otherVersion
}

// unpack fetches a package, as apt names it (NAME or NAME=VERSION), and unpacks
// it below dir, without what matches the patterns.
func (a *archive) unpack(ctx context.Context, name, dir string, without ...string) error {
	downloads, err := os.MkdirTemp(a.dir, "download-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(downloads) }()
	if _, err := output(ctx, "sh", append([]string{"-c", `cd "$1" && shift && exec apt-get "$@"`, "sh", downloads},
		append(a.options, "download", "-qq", name)...)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(downloads, "*.deb"))
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("apt-get download %s: want one file, got %q", name, files)
	}
	exclude := ""
	for _, pattern := range without {
		exclude += " --exclude='" + pattern + "'"
	}
	_, err = output(ctx, "sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-same-owner --keep-directory-symlink`+exclude,
		"sh", files[0], dir)
	return err
}

// dependency finds the first package name in a Depends field that matches.
func dependency(depends string, pattern *regexp.Regexp) string {
	for alternatives := range strings.SplitSeq(depends, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(alternatives), " ")
		if pattern.MatchString(name) {
			return name
		}
	}
	return ""
}

// say tells the user of a terminal what takes its time, or is not as expected.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "guest: "+format+"\n", args...) }
