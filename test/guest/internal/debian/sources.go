package debian

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// source is a Debian repository that the host's apt is configured for.
type source struct {
	uri, release, component string
}

// keyring is where every Debian system has the keys of its archive.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

func (s source) String() string {
	return fmt.Sprintf("deb [signed-by=%s] %s %s %s", keyring, s.uri, s.release, s.component)
}

// debianSources asks apt, which reads all forms of its configuration, for the
// host's Debian repositories. Those of others are left out.
func debianSources(ctx context.Context) ([]source, error) {
	text, err := output(ctx, "apt-get", "indextargets",
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)", "Created-By: Packages")
	if err != nil {
		return nil, err
	}
	sources := parseSources(text)
	if len(sources) == 0 {
		return nil, errors.New("apt knows no Debian repository here (is this Debian, and did apt-get update run?)")
	}
	return sources, nil
}

func parseSources(text string) []source {
	var sources []source
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 4 && fields[3] == "Debian" {
			sources = append(sources, source{uri: fields[0], release: fields[1], component: fields[2]})
		}
	}
	return sources
}

// aptOptions are the settings of the host's apt that decide whether a mirror
// can be reached at all, proxies first among them.
func aptOptions(ctx context.Context) ([]string, error) {
	text, err := output(ctx, "apt-config", "dump", "--no-empty", "--format", "%f %v%n",
		"Acquire::http", "Acquire::https", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
	if err != nil {
		return nil, err
	}
	var options []string
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			options = append(options, fmt.Sprintf("%s %q", name, value))
		}
	}
	return options, nil
}
