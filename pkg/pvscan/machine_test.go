package pvscan

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// machine has block devices, and files in memory. Whatever is not in it does not exist.
type machine struct {
	host.Files
	mu     sync.Mutex
	files  map[string]string
	links  map[string]bool      // which of the files are symlinks
	asked  map[string]int       // how often each was read
	starts map[string][]byte    // what is at the start of a device
	errs   map[string]error     // what reading it fails with
	hung   map[string]chan bool // reads of a device return when this is closed
	opened map[string]int       // how often each was opened
	stamps map[string]time.Time // when a file was changed
	config string               // what lvmconfig prints
	ran    int                  // how often
	busy   chan bool            // configfs answers when this is closed; nil: at once
}

const plainConfig = "devices {\n\tdir=\"/dev\"\n\tuse_devicesfile=0\n\tdevicesfile=\"system.devices\"\n\tfilter=[\"a|.*|\"]\n\tglobal_filter=[\"a|.*|\"]\n\tscan_lvs=0\n}\n"

func newMachine() *machine {
	return &machine{
		files: map[string]string{}, links: map[string]bool{}, asked: map[string]int{}, starts: map[string][]byte{}, errs: map[string]error{}, hung: map[string]chan bool{},
		opened: map[string]int{}, stamps: map[string]time.Time{}, config: plainConfig,
	}
}

func (m *machine) Run(_ context.Context, argv ...string) (host.Output, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ran++
	if m.config == "" {
		return host.Output{}, &host.CommandError{Argv: argv, ExitCode: 5}
	}
	return host.Output{Stdout: []byte(m.config)}, nil
}

func (m *machine) ReadFile(file string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[file]++
	if text, ok := m.files[file]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

func (m *machine) Readlink(file string) (string, error) {
	text, err := m.ReadFile(file)
	return string(text), err
}

type dirEntry struct {
	fs.DirEntry
	name string
	mode fs.FileMode
}

func (e dirEntry) Name() string { return e.name }

func (e dirEntry) Type() fs.FileMode { return e.mode }

func (m *machine) ReadDir(dir string) ([]fs.DirEntry, error) {
	if m.busy != nil && strings.HasPrefix(dir, "/sys/kernel/config") {
		<-m.busy
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for file := range m.files {
		if rest, ok := strings.CutPrefix(file, dir+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	var entries []fs.DirEntry
	for _, name := range names {
		entry := dirEntry{name: name}
		if m.links[path.Join(dir, name)] {
			entry.mode = fs.ModeSymlink
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

type fileInfo struct {
	fs.FileInfo
	size int64
	time time.Time
}

func (fi fileInfo) Size() int64        { return fi.size }
func (fi fileInfo) ModTime() time.Time { return fi.time }
func (fi fileInfo) IsDir() bool        { return false }

func (m *machine) Lstat(file string) (fs.FileInfo, error) {
	text, err := m.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return fileInfo{size: int64(len(text)), time: m.stamps[file]}, nil
}

func (m *machine) ReadStart(device string, n int) ([]byte, error) {
	m.mu.Lock()
	m.opened[device]++
	hung := m.hung[device]
	m.mu.Unlock()
	if hung != nil {
		<-hung
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.errs[device]; err != nil {
		return nil, err
	}
	data := make([]byte, n)
	copy(data, m.starts[device])
	return data, nil
}

// set gives files in a device's folder a content.
func (m *machine) set(name string, attributes map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for file, text := range attributes {
		m.files[path.Join(blockDir, name, file)] = text
	}
}

var numbers = map[string]string{}

// disk adds a disk. A physical volume with this UUID is on it; empty: none is.
func (m *machine) disk(name, pvid string) {
	if numbers[name] == "" {
		numbers[name] = "8:" + string(rune('0'+len(numbers)))
	}
	m.set(name, map[string]string{"size": "2048\n", "dev": numbers[name] + "\n", "diskseq": "1\n", "stat": "1 0 8 0 5 0 40 0 0 0 0\n"})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path.Join(blockDir, name)] = "../../devices/pci0/" + name
	if pvid != "" {
		m.starts["/dev/"+name] = pvLabel(pvid, 1)
	}
}

// hang makes a device hang until the function that it returns is called.
func (m *machine) hang(device string) (answer func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	hung := make(chan bool)
	m.hung[device] = hung
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.hung, device)
		close(hung)
	}
}

func (m *machine) reads(device string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened[device]
}

// pvLabel is the start of a device that is a physical volume, with the label in one of
// its first sectors.
func pvLabel(pvid string, sector int) []byte {
	Expect(pvid).To(HaveLen(uuidBytes))
	data := make([]byte, labelBytes)
	s := data[sector*sectorBytes:][:sectorBytes]
	copy(s, "LABELONE")
	binary.LittleEndian.PutUint64(s[8:], uint64(sector))
	binary.LittleEndian.PutUint32(s[20:], 32)
	copy(s[24:], "LVM2 001")
	copy(s[32:], pvid)
	binary.LittleEndian.PutUint32(s[16:], ^crc32.Update(^uint32(labelCRC), crc32.IEEETable, s[20:]))
	return data
}

const (
	pvA = "AQomecLWiXbhS6sXRyS4aKpx7Y36Y6rB"
	pvB = "BQomecLWiXbhS6sXRyS4aKpx7Y36Y6rB"
)
