package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/actuators/backups/fakebackups"
	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/pvscan"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// The backends: where volumes and exports are.
const (
	backendKernel = "kernel" // on this machine
	backendFake   = "fake"   // in a node's file
	backendTGT    = "tgt"    // on this machine, with exports by tgtd
)

// backend is a machine that is observed and changed. The agent's parts do not
// know which one it is.
type backend struct {
	host.Host
	// lvm runs LVM's changes.
	lvm host.Runner
	// tgt is tgtd; nil if exports are the kernel's.
	tgt *tgtadm.Client
	// devices tells which devices do not answer; nil: that is not known.
	devices observe.Devices
	// remembering is its observer if it remembers what it has read; nil: it reads everything each
	// time.
	remembering *observe.Observer
	// blocks copies and clears what is in its devices.
	blocks jobs.Blocks
	// imageFiles makes image files of what is in the devices of a fake machine.
	imageFiles jobs.ImageFiles
	// backups backs up and restores what is in the devices of a fake machine, and has its repositories.
	backups *fakebackups.Engine
	// processes returns how many processes were started so far, and commands how many commands run now.
	processes, commands func() int64
	// endPass is called when a pass has made its changes.
	endPass func() error
}

// openBackend opens the machine that the settings name. faked is called with every
// call that changes a fake one, before it is made; it may be nil, and is called by
// several goroutines.
func (s *settings) openBackend(faked func(fakehost.Call)) (*backend, error) {
	switch {
	case s.backend == backendFake:
		return openNode(s.nodeFile(), faked)
	case s.isGiven("node"):
		return nil, errors.New("--node requires --backend fake; add it, or remove --node to work on this node")
	}
	if s.backend == backendTGT && s.discoveryUser+s.discoveryFile+s.discoveryMutualUser+s.discoveryMutualFile != "" {
		return nil, errors.New("the discovery settings require the kernel's target; remove them, or use --backend kernel")
	}
	machine := host.New()
	b := thisMachine(machine, s.lvmDir())
	if s.backend == backendTGT {
		b.tgt = tgtadm.New(func(ctx context.Context) (net.Conn, error) { return machine.DialUnix(ctx, s.tgtSocket) })
	}
	return b, nil
}

// observer returns the observer of the machine.
func (b *backend) observer() *observe.Observer {
	if b.remembering != nil {
		return b.remembering
	}
	o := observe.New(b)
	if b.tgt != nil {
		o = observe.NewWithTGT(b, b.tgt)
	}
	if b.devices != nil {
		o.SetDevices(b.devices)
	}
	return o
}

// remember makes the observer of the machine remember what it has read, and forget what is changed
// through the backend. What others change must be forgotten by whoever learns of it.
func (b *backend) remember() {
	o := b.observer()
	o.Remember()
	ran := func() { o.Forget(observe.AllOfLVM) }
	b.Host = &host.Announced{Host: b.Host, Changed: func(path string) { o.Forget(observe.Part(path)) }, Ran: ran}
	b.lvm = &host.AnnouncedRunner{Runner: b.lvm, Ran: ran}
	b.remembering = o
}

// thisMachine returns the machine that the agent runs on. LVM's shells keep their
// configuration in a directory of their own.
func thisMachine(os *host.OS, lvmDir string) *backend {
	shells := host.NewLVMShell(os)
	shells.Dir = lvmDir
	devices := pvscan.New(os)
	os.LimitLVM(devices)
	return &backend{Host: os, lvm: shells, devices: devices, blocks: jobs.NewEngine(os), processes: os.Processes, commands: os.Running, endPass: func() error {
		if err := shells.Close(); err != nil {
			return fmt.Errorf("the LVM shell did not exit normally: %w", err)
		}
		return nil
	}}
}

// isGiven reports whether a setting was given as a flag.
func (s *settings) isGiven(name string) bool { return s.all.Lookup(name).Changed }

// planNode makes a node's file that is given as a flag the one to plan against:
// nobody names one to see the plan of another machine.
func (s *settings) planNode() {
	if s.isGiven("node") && !s.isGiven("backend") {
		s.backend = backendFake
	}
}

// nodeFile is the file of the node that the fake backend works on.
func (s *settings) nodeFile() string {
	if s.node == "" {
		return filepath.Join(s.stateDir, "node.yaml")
	}
	return s.node
}

// openNode opens the machine that a captured node's file describes.
func openNode(file string, faked func(fakehost.Call)) (*backend, error) {
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("node file %s does not exist; create it on the node: volreconciler capture > node.yaml", file)
	case err != nil:
		return nil, fmt.Errorf("cannot read the node file: %w", err)
	}
	node, err := fakehost.Parse(data)
	if err != nil {
		return nil, nodeMistakes(file, err)
	}
	fake, err := fakehost.New(node)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	fake.Clock = time.Now
	kept := &nodeStore{file: file, fake: fake}
	watched := &fakehost.Tap{Host: fake, Before: func(c fakehost.Call) error {
		if c.Changes() && faked != nil {
			faked(c)
		}
		return nil
	}, After: kept.record}
	engine := fakehost.Engine{Devices: watched}
	data, err = fake.Node().Marshal() // which may be written in another way than what was read
	if err != nil {
		return nil, err
	}
	kept.stored = sha256.Sum256(data)
	return &backend{Host: watched, lvm: fakehost.Shell{Runner: watched}, blocks: engine, imageFiles: fakeImageFiles{engine}, backups: newFakeBackups(engine), processes: none, commands: none, endPass: kept.save}, nil
}

// none is how many processes a fake machine has.
func none() int64 { return 0 }

// nodeMistakes says what is wrong with a node's file, one line per mistake.
func nodeMistakes(file string, err error) error {
	var fields *yaml.TypeError
	if !errors.As(err, &fields) {
		return fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	for _, mistake := range fields.Errors {
		// The name of a Go type says nothing to whoever reads it.
		mistake, _, _ = strings.Cut(mistake, " in type ")
		errs = append(errs, fmt.Errorf("%s: %s", file, mistake))
	}
	return errors.Join(errs...)
}

// nodeStore keeps a fake machine in its file.
type nodeStore struct {
	file string
	fake *fakehost.Host
	// changed is true if the machine may differ from what is in the file: to compare them is
	// work for all that it holds.
	changed atomic.Bool

	mu     sync.Mutex
	stored [sha256.Size]byte // digest of what is in the file
}

// record is called after every call to the fake machine, with its error.
func (n *nodeStore) record(c fakehost.Call, err error) error {
	if c.Changes() {
		n.changed.Store(true)
	}
	return err
}

// save stores the machine if it has changed. What could not be stored is stored
// by a later call.
func (n *nodeStore) save() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.changed.Swap(false) {
		return nil
	}
	data, err := n.fake.Node().Marshal()
	digest := sha256.Sum256(data)
	if err == nil && digest == n.stored {
		return nil
	}
	if err == nil {
		err = replaceFile(n.file, data)
	}
	if err != nil {
		n.changed.Store(true)
		return fmt.Errorf("cannot write node file %s: %w", n.file, err)
	}
	n.stored = digest
	return nil
}

// replaceFile gives a file another content in one step, so that a crash leaves
// the old or the new one.
func replaceFile(file string, data []byte) error {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	was, err := os.Stat(file)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already if all went well
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(was.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
