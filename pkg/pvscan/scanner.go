package pvscan

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// Machine is what is scanned.
type Machine interface {
	host.Runner
	host.Files
	host.Blocks
}

const (
	// defaultLimit is how long a device is waited for, which all of them are at once.
	defaultLimit = time.Second
	// recent is how old the devices may be that a change is given.
	recent = time.Second
	// unlabelledAge is how long it is taken for granted that a device holds no physical
	// volume. What this machine writes to it is seen at once, what others write is not.
	unlabelledAge = 10 * time.Minute
	// firstRetry and lastRetry are how soon a device is read again that failed.
	firstRetry, lastRetry = time.Second, 10 * time.Second
	// configRetry is when LVM is asked again for settings that it did not tell.
	configRetry = 5 * time.Minute
)

// Scanner finds physical volumes. It is safe for concurrent use.
//
// A device that does not answer within the limit is silent: it is not among those for
// LVM, and is not read again until the read that hangs has returned. So one thread is
// lost to it at most.
type Scanner struct {
	machine Machine
	limit   time.Duration
	now     func() time.Time

	mu       sync.Mutex
	known    map[string]*memory // by the kernel's name
	config   config
	stamp    string // of the files that config was read from
	asked    time.Time
	badness  error // why there is no config
	scanned  time.Time
	found    []string
	ok       bool
	silent   []Silent
	kept     []string
	exported map[string]*target // by fabric and name
	more     []string           // targets that the kernel does not show
}

// Silent is a device that does not answer.
type Silent struct {
	Path  string
	Since time.Time
}

// String says which device it is.
func (s Silent) String() string {
	return fmt.Sprintf("%s does not answer (since %s)", s.Path, s.Since.UTC().Format(time.RFC3339))
}

var _ host.LVMDevices = (*Scanner)(nil)

// New returns a Scanner that has not read anything yet.
func New(m Machine) *Scanner {
	return &Scanner{machine: m, limit: defaultLimit, now: time.Now, known: map[string]*memory{}, exported: map[string]*target{}}
}

// ForLVM returns the devices that LVM may open, see [host.LVMDevices].
func (s *Scanner) ForLVM(ctx context.Context, fresh bool) ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fresh || s.scanned.IsZero() || s.now().Sub(s.scanned) >= recent {
		s.scan(ctx, false)
	}
	return slices.Clone(s.found), s.ok
}

// Recheck reads the labels of all physical volumes again, because LVM does not answer. It
// reports whether another device was found that does not answer.
func (s *Scanner) Recheck(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.silent
	s.scan(ctx, true)
	return slices.ContainsFunc(s.silent, func(now Silent) bool { return !slices.Contains(before, now) })
}

// Silent returns the devices that do not answer, as of the last scan.
func (s *Scanner) Silent() []Silent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.silent)
}

// KeptFromLVM returns the devices that may hold physical volumes and that LVM's settings keep
// it from, each with the setting, as of the last scan. Nothing was read from them.
func (s *Scanner) KeptFromLVM() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept)
}

// OwnTargets says which targets this machine has besides the kernel's: those of tgtd.
func (s *Scanner) OwnTargets(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more = names
}

// scan looks at all devices. Those that are known to be physical volumes are read again
// if again is true.
func (s *Scanner) scan(ctx context.Context, again bool) {
	s.found, s.silent, s.kept, s.ok = nil, nil, nil, false
	s.scanned = s.now()
	if s.readConfig(ctx); s.badness != nil {
		return
	}
	filtered := func(d device) {
		s.kept = append(s.kept, d.path+" (devices/filter or devices/global_filter in lvm.conf)")
	}
	devices, err := sys{files: s.machine, config: s.config, own: s.isOwn, mounted: s.mounts(), links: readLinks(s.machine), filtered: filtered}.candidates()
	if err != nil {
		return
	}
	var list []entry
	if s.config.devicesFile != "" {
		data, err := s.machine.ReadFile(s.config.devicesFile)
		if err == nil {
			list = parseDevicesFile(string(data))
			devices = slices.DeleteFunc(devices, func(d device) bool {
				if isNamed(list, d) {
					return false
				}
				s.kept = append(s.kept, fmt.Sprintf("%s (devices file %s: lvmdevices --adddev %s)", d.path, s.config.devicesFile, d.path))
				return true
			})
		}
	}
	s.read(devices, again)
	for _, d := range devices {
		switch m := s.known[d.name]; {
		case m.cannot && !m.read:
			return
		case !m.silentSince.IsZero():
			s.silent = append(s.silent, Silent{Path: d.path, Since: m.silentSince})
		case m.pvid != "" && (len(list) == 0 || isConfirmed(list, d, m.pvid)):
			s.found = append(s.found, d.path)
		}
	}
	s.ok = true
}

func isNamed(list []entry, d device) bool {
	return slices.ContainsFunc(list, func(e entry) bool { return e.names(d) })
}

func isConfirmed(list []entry, d device, pvid string) bool {
	return slices.ContainsFunc(list, func(e entry) bool { return e.names(d) && e.isConfirmedBy(d, pvid) })
}

// readConfig asks LVM for its settings, if any of their files has changed.
func (s *Scanner) readConfig(ctx context.Context) {
	stamp := s.configStamp()
	if stamp == s.stamp && (s.badness == nil || s.now().Sub(s.asked) < configRetry) {
		return
	}
	s.config, s.badness = readConfig(ctx, s.machine)
	s.stamp, s.asked = stamp, s.now()
	// Without a devices file the filters count, and with one they do not.
	if s.config.devicesFile == "" {
		return
	}
	if _, err := s.machine.Lstat(s.config.devicesFile); err != nil {
		s.config.devicesFile = ""
	} else {
		s.config.filters = nil
	}
}

// configStamp changes with LVM's configuration.
func (s *Scanner) configStamp() string {
	b := strings.Builder{}
	b.WriteString("read")
	for _, dir := range []string{lvmEtc, path.Join(lvmEtc, "profile"), path.Join(lvmEtc, "devices")} {
		entries, _ := s.machine.ReadDir(dir) // what is not there has no files
		for _, e := range entries {
			if fi, err := s.machine.Lstat(path.Join(dir, e.Name())); err == nil && !fi.IsDir() {
				fmt.Fprintf(&b, "\n%s %s %d %d", dir, e.Name(), fi.Size(), fi.ModTime().UnixNano())
			}
		}
	}
	return b.String()
}

// mounts returns the numbers of the devices that are mounted: they hold no physical
// volumes.
func (s *Scanner) mounts() map[string]bool {
	mounted := map[string]bool{}
	data, err := s.machine.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mounted
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 2 {
			mounted[f[2]] = true
		}
	}
	return mounted
}
