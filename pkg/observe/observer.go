package observe

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// Observer reads the machine. It is safe for concurrent use, and remembers
// nothing but what it has begun to read and left to itself, unless [Observer.Remember] is called.
type Observer struct {
	cache *cache
	lvm   lvmMemory
	lio   reader[Targets]
	nvmet reader[map[string]Target]
	tgt   *tgtadm.Client // nil: tgtd is not looked at

	files  host.Files
	images reader[map[string]ImageFile]
}

// New returns an Observer of a machine.
func New(h host.Host) *Observer {
	c := newCache(h)
	return &Observer{
		cache: c,
		lvm:   lvmMemory{reader: lvmReader{host: h, patience: defaultPatience, suspicion: defaultSuspicion}},
		lio:   reader[Targets]{of: func() (Targets, error) { return readLIO(c) }, patience: defaultPatience},
		nvmet: reader[map[string]Target]{of: func() (map[string]Target, error) { return readNVMet(c) }, patience: defaultPatience},

		files:  h,
		images: reader[map[string]ImageFile]{patience: defaultPatience, noAnswer: fileSystemNoAnswer},
	}
}

// NewWithTGT returns an Observer of a machine on which tgtd serves iSCSI.
func NewWithTGT(h host.Host, tgt *tgtadm.Client) *Observer {
	o := New(h)
	o.tgt = tgt
	return o
}

// SetDevices says what knows which devices do not answer. It is called before the first
// observation.
func (o *Observer) SetDevices(d Devices) { o.lvm.reader.devices = d }

// Observe reads all systems. One that cannot be read is in Unknown, and nothing
// of it is in the State. Volume groups that cannot be read are in UnknownGroups.
//
// Of files it looks at the images with these paths.
func (o *Observer) Observe(ctx context.Context, images ...string) State {
	var (
		s                        State
		lvm                      lvmReport
		remembered               bool
		lioErr, nvmetErr, tgtErr error
		all                      sync.WaitGroup
	)
	forgotten := o.lvm.begin()
	all.Go(func() { lvm, remembered = o.lvm.read(ctx) })
	// Where it cannot be read, a reboot looks like targets that somebody took away.
	boot, _ := o.files.ReadFile("/proc/sys/kernel/random/boot_id")
	s.BootID = strings.TrimSpace(string(boot))
	all.Go(func() { s.LIO, lioErr = o.lio.read() })
	all.Go(func() { s.NVMe, nvmetErr = o.nvmet.read() })
	if o.tgt != nil {
		all.Go(func() { s.TGT, tgtErr = readTGT(ctx, o.tgt) })
	}
	if len(images) > 0 {
		all.Go(func() { s.ImageFiles = o.readImages(images) })
	}
	all.Wait()

	s.VolumeGroups, s.UnusableGroups, s.UnknownGroups = lvm.groups, lvm.unusable, lvm.unknown
	s.setSilent(lvm.silent)
	if kept, tells := o.lvm.reader.devices.(interface{ KeptFromLVM() []string }); tells {
		s.KeptFromLVM = kept.KeptFromLVM()
	}
	s.Unknown = map[System]error{}
	if lvm.err != nil {
		s.Unknown[LVM] = lvm.err
	}
	if lioErr != nil {
		s.Unknown[LIO] = lioErr
	}
	if nvmetErr != nil {
		s.Unknown[NVMet] = nvmetErr
	}
	if tgtErr != nil {
		s.Unknown[TGT] = tgtErr
	}
	if o.lvm.reader.devices != nil && o.tgt != nil && tgtErr == nil {
		o.lvm.reader.devices.OwnTargets(slices.Collect(maps.Keys(s.TGT))...)
	}
	if !remembered {
		if unexplained := addOpeners(o.files, &s); lvm.err == nil && lvm.unread == nil {
			o.awaitClose(ctx, &s, unexplained)
		}
		if lioErr == nil && nvmetErr == nil { // otherwise some of those that have devices open are not known
			o.lvm.keep(lvm, forgotten)
		}
	}
	return s
}

// readImages looks at image files. That of a file system that does not answer holds
// up all of them, and nothing else.
func (o *Observer) readImages(paths []string) map[string]ImageFile {
	files, err := o.images.readBy(func() (map[string]ImageFile, error) { return readImageFiles(o.files, paths), nil })
	if err != nil {
		files = map[string]ImageFile{}
		for _, p := range paths {
			files[p] = ImageFile{Err: err}
		}
	}
	return files
}
