package debian

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// Suite is a Debian release whose user space a guest has.
type Suite string

// The suites that guests are made of. The host's own need not be one of them.
const (
	Bookworm Suite = "bookworm" // Debian 12
	Trixie   Suite = "trixie"   // Debian 13
	Testing  Suite = "testing"
)

// Suites lists them, the oldest first.
var Suites = []Suite{Bookworm, Trixie, Testing}

// ParseSuite reads the name of a suite; the empty name is the host's.
func ParseSuite(name string) (Suite, error) {
	if name == "" {
		return hostSuite()
	}
	for _, s := range Suites {
		if name == string(s) {
			return s, nil
		}
	}
	return "", fmt.Errorf("suite %q: want one of %v", name, Suites)
}

// hostSuite is the suite of this machine, so that nothing of another one has to
// be fetched; on a machine that is none of them, the oldest.
func hostSuite() (Suite, error) {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		codename, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME=")
		if ok && (codename == string(Bookworm) || codename == string(Trixie)) {
			return Suite(codename), nil
		}
	}
	return Bookworm, nil
}

// sourcesOf returns the repositories of a suite, which lie on the host's mirrors.
func sourcesOf(ctx context.Context, suite Suite) ([]source, error) {
	host, err := debianSources(ctx)
	if err != nil {
		return nil, err
	}
	return translate(host, suite), nil
}

// translate returns the repositories that are to suite what the host's are to its
// release: the release itself and its security updates. Testing needs no other.
func translate(host []source, suite Suite) []source {
	release := host[0].release
	var translated []source
	for _, s := range host {
		switch {
		case s.component != "main":
		case s.release == release:
			translated = append(translated, source{s.uri, string(suite), s.component})
		case s.release == release+"-security" && suite != Testing:
			translated = append(translated, source{s.uri, string(suite) + "-security", s.component})
		}
	}
	return translated
}
