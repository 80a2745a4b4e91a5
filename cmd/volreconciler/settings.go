package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/volreconciler/volreconciler/pkg/notify"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

const (
	defaultConfig     = "/etc/volreconciler/config.yaml"
	defaultSpecs      = "/etc/volreconciler/specs"
	defaultStateDir   = "/var/lib/volreconciler"
	defaultRuntimeDir = "/run/volreconciler"

	defaultDeletionGrace = 30 * time.Second
	defaultResync        = 30 * time.Second
	defaultAudit         = 10 * time.Minute
	defaultTimeout       = 5 * time.Minute
	defaultMaxDeletions  = 10
	// minResync keeps the agent from doing nothing but looking.
	minResync = time.Second
)

// settings are what can be configured, by flags, environment variables and the
// configuration file alike.
type settings struct {
	specs         string
	targetPrefix  string
	stateDir      string
	runtimeDir    string
	listen        string // empty: the socket alone
	webConfig     string // empty: everybody is answered
	deletionGrace time.Duration
	maxDeletions  int
	resync        time.Duration
	audit         time.Duration
	timeout       time.Duration
	logLevel      string
	logFormat     string
	backend       string
	tgtSocket     string
	node          string // empty: in the state directory
	addresses     addresses

	discoveryUser, discoveryFile             string // empty: discovery is not changed
	discoveryMutualUser, discoveryMutualFile string

	data dataSettings

	notify []notify.Target // only the file sets them

	config string         // path of the configuration file
	all    *pflag.FlagSet // every setting by its name
}

// newSettings returns the defaults. This is the list of all settings.
func newSettings() *settings {
	s := &settings{
		specs: defaultSpecs, targetPrefix: spec.DefaultTargetPrefix, stateDir: defaultStateDir, runtimeDir: defaultRuntimeDir,
		deletionGrace: defaultDeletionGrace, maxDeletions: defaultMaxDeletions, resync: defaultResync, audit: defaultAudit, timeout: defaultTimeout,
		logLevel: "info", logFormat: "text", backend: backendKernel, tgtSocket: tgtadm.DefaultSocket,
		all: pflag.NewFlagSet("settings", pflag.ContinueOnError),
	}
	s.all.Var(text(&s.specs, "dir", notEmpty), "specs", "directory of the YAML files, including its subdirectories, for example /srv/storage/specs")
	s.all.Var(text(&s.targetPrefix, "iqn", targetPrefix), "target-prefix", "prefix of target names of Exports without spec.target, for example iqn.2026-11.com.example")
	s.all.Var(text(&s.stateDir, "dir", absolute), "state-dir", "directory for persistent state (logical volumes of objects, last good spec files), for example /srv/volreconciler")
	s.all.Var(text(&s.runtimeDir, "dir", absolute), "runtime-dir", "directory for the agent's socket and lock, for example /run/volreconciler")
	s.all.Var(text(&s.listen, "address", tcpAddress), "listen", "TCP address for metrics, the dashboard and the read-only HTTP interface, for example [::]:9842 (default: only the socket)")
	s.all.Var(text(&s.webConfig, "file", absolute), "web-config", "file with TLS, client CA and users of --listen, in the format of Prometheus exporters, for example /etc/volreconciler/web.yaml (default: no TLS, everybody may read)")
	s.all.Var(duration(&s.deletionGrace, 0), "deletion-grace", "time before an undeclared object is deleted, for example 30m (0s: at once)")
	s.all.Var(number(&s.maxDeletions), "max-deletions", "undeclared objects that may be deleted at once; if there are more, none is deleted, for example 20 (0: each deletion needs confirmation)")
	s.all.Var(duration(&s.resync, minResync), "resync", "time between two passes while something is pending, or events are unavailable; for example 5m")
	s.all.Var(duration(&s.audit, minResync), "audit", "time between two passes that read everything, although no event announced a change; for example 1h")
	s.all.Var(duration(&s.timeout, 0), "timeout", "time during which failed changes are retried, for example 2m (0s: no retry)")
	s.all.Var(text(&s.logLevel, "level", oneOf("debug", "info", "warn", "error")), "log-level", "lowest severity of log lines: debug, info, warn or error")
	s.all.Var(text(&s.logFormat, "format", oneOf("text", "json")), "log-format", "format of log lines: text or json")
	s.all.Var(text(&s.backend, "name", oneOf(backendKernel, backendFake, backendTGT)), "backend", "system to work on: kernel (this node), tgt (this node, iSCSI by tgtd) or fake (a captured node's file)")
	s.all.Var(text(&s.tgtSocket, "file", absolute), "tgt-socket", "management socket of tgtd; requires --backend tgt, for example /var/run/tgtd/socket.0")
	s.all.Var(text(&s.node, "file", absolute), "node", "file of a captured node, for example node.yaml; run and apply also require --backend fake (default with it: node.yaml in --state-dir)")
	s.all.Var(&s.addresses, "address", "`address` of this node that initiators use for wildcard portals, for example 192.0.2.1; repeat it or use commas for several (default: addresses of all interfaces)")
	s.all.Var(text(&s.discoveryUser, "name", notEmpty), "discovery-username", "user name for iSCSI discovery, for example discovery (default: discovery authentication is not changed)")
	s.all.Var(text(&s.discoveryFile, "file", absolute), "discovery-password-file", "file with only the password for iSCSI discovery; required with --discovery-username, for example /etc/volreconciler/discovery.secret")
	s.all.Var(text(&s.discoveryMutualUser, "name", notEmpty), "discovery-mutual-username", "user name of this node for mutual iSCSI discovery, for example node1 (default: no mutual authentication)")
	s.all.Var(text(&s.discoveryMutualFile, "file", absolute), "discovery-mutual-password-file", "file with only the password for mutual iSCSI discovery; required with --discovery-mutual-username, for example /etc/volreconciler/mutual.secret")
	s.addDataSettings()
	return s
}

// discoverySettings are those of discovery.
var discoverySettings = []string{"discovery-username", "discovery-password-file", "discovery-mutual-username", "discovery-mutual-password-file"}

// forCommand gives a command the flags of the named settings, and completes the
// settings before it runs.
func (s *settings) forCommand(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		cmd.Flags().AddFlag(s.all.Lookup(name))
	}
	cmd.Flags().StringVar(&s.config, "config", "", "`file` with settings, one per line, for example resync: 5m (default: "+defaultConfig+")")
	cmd.PreRunE = func(*cobra.Command, []string) error { return s.complete() }
}

// value is a setting that is checked whenever it is set, wherever that comes
// from.
type value[T any] struct {
	target *T
	kind   string
	parse  func(text string) (T, error)
}

func (v value[T]) Set(text string) error {
	parsed, err := v.parse(text)
	if err == nil {
		*v.target = parsed
	}
	return err
}

func (v value[T]) String() string { return fmt.Sprint(*v.target) }

func (v value[T]) Type() string { return v.kind }

// text is a setting that is text, as parse makes it.
func text(target *string, kind string, parse func(string) (string, error)) value[string] {
	return value[string]{target, kind, parse}
}

func duration(target *time.Duration, least time.Duration) value[time.Duration] {
	return value[time.Duration]{target, "duration", func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			return 0, errors.New("write a duration with a unit, for example 30s or 5m")
		case d < least:
			return 0, fmt.Errorf("must be at least %s", least)
		default:
			return d, nil
		}
	}}
}

func number(target *int) value[int] {
	return value[int]{target, "int", func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil:
			return 0, errors.New("write a whole number, for example 10")
		case n < 0:
			return 0, errors.New("must not be negative (0: each deletion needs confirmation)")
		default:
			return n, nil
		}
	}}
}

func notEmpty(text string) (string, error) {
	if text == "" {
		return "", errors.New("must not be empty")
	}
	return text, nil
}

func absolute(text string) (string, error) {
	if text == "" {
		return "", errors.New("must not be empty")
	}
	return filepath.Abs(text)
}

// tcpAddress accepts HOST:PORT; an empty host is every address.
func tcpAddress(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errors.New("write an address and a port, for example [::]:9842 or 192.0.2.1:9842")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("the port must be a number from 1 to 65535, for example [::]:9842")
	}
	return text, nil
}

func targetPrefix(text string) (string, error) { return text, spec.CheckTargetPrefix(text) }

func oneOf(allowed ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		for _, a := range allowed {
			if text == a {
				return text, nil
			}
		}
		return "", fmt.Errorf("must be %s", alternatives(allowed))
	}
}

// outputFlag gives a command -o. It is no setting: what a script reads must not
// depend on the environment.
func outputFlag(cmd *cobra.Command, target *string, formats ...string) {
	cmd.Flags().VarP(text(target, "format", oneOf(formats...)), "output", "o", "output format: "+alternatives(formats))
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}
