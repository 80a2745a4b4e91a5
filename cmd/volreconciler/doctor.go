package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/doctor"
	"github.com/volreconciler/volreconciler/pkg/safepath"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// exitLacking is doctor's exit status when something should be done.
const exitLacking exitStatus = 3

func newDoctorCommand() *cobra.Command {
	s := newSettings()
	format := "text"
	var colours *string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Show what this node lacks for the spec files, and how to fix it",
		Long: `Show what this node lacks for the spec files: kernel modules, programs, settings of LVM,
services and programs that change targets or take ports, and files that others can change.
Only what the specs need is checked. Nothing is changed.

Each finding has a consequence and a command, or a setting, that corrects it. Severities:
  error    Something declared cannot work, or data is in danger.
  warning  Something works now, but not after a reboot, an upgrade or some time.
  note     No action is needed.

The fields of -o json are apiVersion, kind, checks (number of checks) and findings (id, severity,
subject, text, consequence, command). docs/doctor.md describes each check by its id.

Exit status: 0 if there are only notes, 3 if there are errors or warnings, 1 if the node cannot
be checked.`,
		Example: `  volreconciler doctor --specs /srv/storage/specs
  volreconciler doctor -o json | jq -r '.findings[] | select(.severity == "error") | .command'`,
		SuggestFor: []string{"preflight", "diagnose", "health"},
		Args:       noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return diagnose(cmd.Context(), s, format, *colours, cmd.OutOrStdout())
		},
	}
	s.forCommand(cmd, "specs", "target-prefix", "state-dir", "runtime-dir", "listen", "backend", "tgt-socket", "image-cache", "image-cache-size")
	outputFlag(cmd, &format, "text", "json")
	colours = colourFlag(cmd)
	return cmd
}

// diagnosis is what doctor says with -o json.
type diagnosis struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Checks     int              `json:"checks"`
	Findings   []doctor.Finding `json:"findings"`
}

func diagnose(ctx context.Context, s *settings, format, colours string, out io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	switch {
	case s.backend == backendFake:
		return errors.New("doctor checks this node, not a captured one; remove --backend fake")
	case os.Geteuid() != 0:
		return errors.New("cannot check this node as this user; run the command as root")
	}
	if _, err := os.Stat(s.specs); err != nil {
		return fmt.Errorf("cannot read the spec files: %w; set their directory with --specs", err)
	}
	facts, err := factsOf(ctx, s)
	if err != nil {
		return err
	}
	d := diagnosis{APIVersion: spec.APIVersion, Kind: "Diagnosis", Checks: len(doctor.Checks()), Findings: doctor.Diagnose(facts)}
	if err := d.write(out, format, colours); err != nil {
		return err
	}
	if slices.ContainsFunc(d.Findings, func(f doctor.Finding) bool { return f.Severity != doctor.Note }) {
		return exitLacking
	}
	return nil
}

// factsOf reads this node.
func factsOf(ctx context.Context, s *settings) (doctor.Facts, error) {
	b, err := s.openBackend(nil)
	if err != nil {
		return doctor.Facts{}, err
	}
	f := doctor.Facts{Set: s.source(logr.Discard(), nil).Load(ctx), TGT: b.tgt != nil, Listen: s.listen}
	f.State = b.observer().Observe(ctx, f.Set.ImagePaths()...)
	if ctx.Err() != nil {
		return f, errors.New("interrupted")
	}
	f.Paths = s.paths()
	f.Agent = doctor.Agent{Socket: s.socket(), Answers: agentAnswers(ctx, s.socket())}
	state, err := unix.Adjtimex(&unix.Timex{}) // it changes nothing without a mode
	f.ClockUnsynchronized = err == nil && state == unix.TIME_ERROR
	f.Addresses = interfaceAddresses()
	return doctor.Gather(ctx, b, f), nil
}

// answerLimit is how long an agent is waited for.
const answerLimit = 2 * time.Second

func agentAnswers(ctx context.Context, socket string) bool {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	_, err := statusapi.NewClient(socket).Status(ctx, 0)
	return err == nil || errors.Is(err, statusapi.ErrNotReady)
}

// interfaceAddresses are those of this node; none if they cannot be read.
func interfaceAddresses() []netip.Addr {
	var all []netip.Addr
	addresses, _ := net.InterfaceAddrs() // without them, addresses are not checked
	for _, a := range addresses {
		if n, is := a.(*net.IPNet); is {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				all = append(all, addr.Unmap())
			}
		}
	}
	return all
}

// paths checks the agent's files and directories.
func (s *settings) paths() doctor.Paths {
	p := doctor.Paths{
		Specs: s.specs, StateDir: s.stateDir, ImageCache: s.data.imageCache, CacheSize: uint64(s.data.imageCacheSize),
		Unsafe: map[string]string{}, Space: map[string]doctor.Space{},
	}
	p.Config, _ = s.configFile()
	if info, err := os.Stat(p.Config); err == nil && info.Mode().Perm()&0o004 != 0 {
		p.Exposed = s.secrets()
	}
	for _, dir := range []string{p.Specs, p.StateDir} {
		if err := safepath.CheckDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.Unsafe[dir] = err.Error()
		}
	}
	// What cannot be read is a finding of the specs.
	_ = filepath.WalkDir(p.Specs, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 || path == p.Specs {
			return nil //nolint:nilerr // see above
		}
		if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o002 != 0 {
			p.Unsafe[path] = fmt.Sprintf("%s is writable by anybody (mode %04o); run chmod o-w %s", path, info.Mode().Perm(), path)
		}
		return nil
	})
	for _, dir := range []string{p.StateDir, p.ImageCache} {
		if space, err := spaceOf(dir); err == nil {
			p.Space[dir] = space
		}
	}
	_ = filepath.WalkDir(p.ImageCache, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a cache that does not exist is empty
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			p.CacheUsed += uint64(info.Size())
		}
		return nil
	})
	return p
}

// spaceOf returns the space for a directory that may not exist yet.
func spaceOf(dir string) (doctor.Space, error) {
	var st unix.Statfs_t
	for {
		switch err := unix.Statfs(dir, &st); {
		case errors.Is(err, fs.ErrNotExist) && dir != "/":
			dir = filepath.Dir(dir)
		case err != nil:
			return doctor.Space{}, err
		default:
			return doctor.Space{Size: st.Blocks * uint64(st.Bsize), Free: st.Bfree * uint64(st.Bsize)}, nil
		}
	}
}

// severityColours are those of the severities.
var severityColours = map[doctor.Severity]colour{doctor.Error: red, doctor.Warning: yellow, doctor.Note: plain}

func (d diagnosis) write(w io.Writer, format, colours string) error {
	if format == "json" {
		return writeJSON(w, d)
	}
	s := screenFor(w, colours)
	counts := map[doctor.Severity]int{}
	for _, f := range d.Findings {
		counts[f.Severity]++
		head := fmt.Sprintf("%s %s: %s", s.paint(severityColours[f.Severity], string(f.Severity)), f.ID, oneLine(f.Subject))
		if _, err := fmt.Fprintf(w, "%s\n    %s\n    then: %s\n", head, s.wrapped(oneLine(f.Text), plain, 4), s.wrapped(oneLine(f.Consequence), plain, 10)); err != nil {
			return err
		}
		if f.Command != "" {
			if _, err := fmt.Fprintf(w, "    fix:  %s\n", oneLine(f.Command)); err != nil { // not wrapped, so that it can be copied
				return err
			}
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s: %s, %s, %s\n", count(d.Checks, "check"), count(counts[doctor.Error], "error"), count(counts[doctor.Warning], "warning"), count(counts[doctor.Note], "note"))
	return err
}
