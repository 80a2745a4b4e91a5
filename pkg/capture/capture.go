// Package capture reads a machine into a file that can be planned against
// elsewhere.
//
// It reads what the agent reads, through the agent's own observer, and changes
// nothing. What it returns is complete or an error, and never holds a password.
// It knows nothing of what is declared.
//
// Start reading at [Capture]; configfs.go records what is read of LIO and
// nvmet, and lvm.go renders volume groups.
package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Capture returns what a machine holds, as far as the agent reads it. If a part of
// it cannot be read, Capture returns only an error that names the part: anything
// left out would look as if it did not exist.
//
// A node that an agent, or somebody else, changes meanwhile is read again, a few times.
//
// Every password is replaced by [spec.Redacted].
func Capture(ctx context.Context, h host.Host) (fakehost.Node, error) {
	const attempts = 5
	for n := 1; ; n++ {
		node, err := read(ctx, h)
		if n == attempts || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errChanged) {
			return node, err
		}
	}
}

// errChanged means that the parts that were read do not fit together.
var errChanged = errors.New("the node changed while it was read; run the command again")

func read(ctx context.Context, h host.Host) (fakehost.Node, error) {
	r := newRecorder(h)
	observer := observe.New(r)
	observer.AdoptAll() // so that a plan elsewhere sees what an Export with adopt: true is compared with
	state := observer.Observe(ctx)
	if err := errors.Join(ctx.Err(), state.Err(), state.Doubtful()); err != nil {
		return fakehost.Node{}, err
	}
	if err := readMore(r, state.LIO); err != nil {
		return fakehost.Node{}, fmt.Errorf("%s: %w", observe.LIO, err)
	}
	if err := readMoreNVMe(r, state.NVMe); err != nil {
		return fakehost.Node{}, fmt.Errorf("%s: %w", observe.NVMet, err)
	}
	more, err := readUnobserved(ctx, h)
	if err != nil {
		return fakehost.Node{}, fmt.Errorf("%s: %w", observe.LVM, err)
	}
	modules, err := loaded(h)
	if err != nil {
		return fakehost.Node{}, fmt.Errorf("%s: %w", observe.LIO, err)
	}
	lio, err := r.entries(observe.LIODir)
	if err != nil {
		return fakehost.Node{}, fmt.Errorf("%s: %w", observe.LIO, err)
	}
	nvmet, err := r.entries(observe.NVMetDir)
	if err != nil {
		return fakehost.Node{}, fmt.Errorf("%s: %w", observe.NVMet, err)
	}
	n := fakehost.Node{APIVersion: fakehost.APIVersion, Kind: "Node", Modules: modules, ConfigFS: lio, NVMet: nvmet}
	n.AtomicWrites = slices.ContainsFunc(lio, func(e fakehost.Entry) bool { return path.Base(e.Path) == "atomic_max_len" })
	addVolumeGroups(&n, state, more)
	if n.FCPorts, err = fcPorts(h, state.LIO.FC); err != nil {
		return fakehost.Node{}, fmt.Errorf("%s: %w", observe.LIO, err)
	}
	if _, err := fakehost.New(n); err != nil {
		return fakehost.Node{}, fmt.Errorf("%w: %w", errChanged, err)
	}
	return n, nil
}

// fcPorts returns the machine's Fibre Channel ports, with who is logged in to them as
// far as that means anything to a plan: the initiators of their targets.
func fcPorts(h host.Files, targets map[string]observe.Target) ([]fakehost.FCPort, error) {
	found, err := observe.ReadFCPorts(h)
	var ports []fakehost.FCPort
	for _, p := range found {
		port := fakehost.FCPort{WWPN: strings.TrimPrefix(p.WWPN, "naa."), Driver: p.Driver}
		for _, s := range targets[p.WWPN].Connections {
			port.Remote = append(port.Remote, strings.TrimPrefix(s.Initiator, "naa."))
		}
		ports = append(ports, port)
	}
	return ports, err
}

// modules are the kernel modules without which there is no export.
var modules = []string{
	"ib_isert", "iscsi_target_mod", "nvmet", "nvmet_rdma", "nvmet_tcp", "target_core_iblock", "target_core_mod", "tcm_fc", "tcm_qla2xxx",
}

// loaded returns those of the modules that are loaded.
func loaded(h host.Files) ([]string, error) {
	var there []string
	for _, name := range modules {
		_, err := h.ReadDir(path.Join("/sys/module", name))
		switch {
		case err == nil:
			there = append(there, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return there, nil
}

// readMore reads what the kernel uses when the agent changes something, though the
// agent itself need not read it: a fake machine that is made of the node must act in
// the same way. What was removed since it was observed is an error.
func readMore(h host.Files, lio observe.Targets) error {
	for _, b := range lio.Backstores {
		for _, attribute := range []string{"enable", "attrib/max_unmap_block_desc_count"} {
			if _, err := h.ReadFile(path.Join(observe.BackstoreDir(b.HBA, b.Name), attribute)); err != nil {
				return err
			}
		}
	}
	for _, targets := range []map[string]observe.Target{lio.ISCSI, lio.FC} {
		for _, t := range targets {
			dir, err := observe.LIOTarget(h, observe.TargetID{Fabric: t.Fabric, Name: t.Name})
			if err != nil {
				return err
			}
			if !t.HasTPG {
				continue
			}
			if err := readAll(h, dir.Attrib()); err != nil {
				return err
			}
		}
	}
	return nil
}

// readAll reads all files in a directory.
func readAll(h host.Files, dir string) error {
	entries, err := h.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if _, err := h.ReadFile(path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
