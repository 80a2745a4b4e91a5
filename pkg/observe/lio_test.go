package observe

import (
	"bufio"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing/fstest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const guestInitiator = "iqn.1993-08.org.debian:guest"

var _ = Describe("reading LIO", func() {
	var files *recordedFiles

	BeforeEach(func() { files = readRecording("testdata/lio_6.1.txt") })

	It("finds nothing where LIO is not loaded", func() {
		Expect(readLIO(&recordedFiles{tree: fstest.MapFS{}})).To(Equal(Targets{
			Backstores: map[string]Backstore{},
			ISCSI:      map[string]Target{},
		}))
	})

	It("does not take LIO for empty where configfs is not mounted", func() {
		tree := fstest.MapFS{"sys/module/target_core_mod/refcnt": {}}
		_, err := readLIO(&recordedFiles{tree: tree})
		Expect(err).To(MatchError(ContainSubstring("configfs is not mounted on /sys/kernel/config")))
	})

	It("finds the block backstores, and no others", func() {
		// Of the attributes that an Export may set, only this one was recorded.
		unmaps := map[string]string{"max_unmap_block_desc_count": "1"}
		targets, err := readLIO(files)
		Expect(err).NotTo(HaveOccurred())
		Expect(targets.Backstores).To(Equal(map[string]Backstore{
			"iblock_0/foreign1": {
				HBA: "iblock_0", Name: "foreign1",
				Enabled: true, BlockDevice: "dm-7", Device: "/dev/vg0/f1", CanUnmap: true,
				Serial: "8a636f00-ac5f-4b35-b273-3edf30144979",
			},
			"iblock_900/volreconciler:snapshot:t2": {
				HBA: "iblock_900", Name: "volreconciler:snapshot:t2",
				Enabled: true, BlockDevice: "dm-6", Device: "/dev/vg0/t2", ReadOnly: true, CanUnmap: true,
				Serial: "599b2b39-a530-ec32-6917-30289065a97f", Attributes: unmaps,
			},
			"iblock_900/volreconciler:volume:half": {
				HBA: "iblock_900", Name: "volreconciler:volume:half", Attributes: map[string]string{"max_unmap_block_desc_count": "0"},
			},
			"iblock_900/volreconciler:volume:t1": {
				HBA: "iblock_900", Name: "volreconciler:volume:t1",
				Enabled: true, BlockDevice: "dm-5", Device: "/dev/vg0/t-1", Unmap: true, CanUnmap: true,
				Serial: "61a93689-da4d-a3b9-6dcd-06d1b4709b1c", Attributes: unmaps,
			},
			"iblock_900/volreconciler:volume:v1": {
				HBA: "iblock_900", Name: "volreconciler:volume:v1",
				Enabled: true, BlockDevice: "dm-0", Device: "/dev/vg0/v1", CanUnmap: true,
				Serial: "1944ffe3-5b92-5c9c-3844-d8a4c112c7ee", Attributes: unmaps,
			},
		}))
		owner, ours := targets.Backstores["iblock_900/volreconciler:snapshot:t2"].Owner()
		Expect(ours).To(BeTrue())
		Expect(owner).To(Equal(spec.ID{Kind: spec.KindSnapshot, Name: "t2"}))
	})

	It("reads a target of ours in full", func() {
		Expect(ReadTarget(files, ISCSITarget("iqn.2026-11.io.volreconciler:db"))).To(Equal(Target{
			Fabric: ISCSI, Name: "iqn.2026-11.io.volreconciler:db", HasTPG: true, Enabled: true, Mark: "volreconciler:db",
			Attrib:  TPGAttrib{Authentication: true},
			Portals: map[string]Transport{"10.9.8.7:3260": TCP, "127.0.0.1:3260": TCP, "[::1]:3260": TCP},
			LUNs: map[int]TargetLUN{
				0: {Backstore: "iblock_900/volreconciler:volume:v1", Link: "backstore"},
				7: {Backstore: "iblock_900/volreconciler:snapshot:t2", Link: "backstore"},
			},
			ACLs: map[string]ACL{
				guestInitiator: {
					Initiator: guestInitiator, Authentication: "1", LoggedIn: true,
					Auth: CHAP{
						Username: "alice", Password: spec.NewSecret("secretsecret1"),
						MutualUsername: "tgt", MutualPassword: spec.NewSecret("tgtsecret123"),
					},
					LUNs: map[int]MappedLUN{0: {LUN: 0, Link: "lun"}, 7: {LUN: 7, Link: "lun", WriteProtect: true}},
				},
				"iqn.1993-08.org.debian:open": {
					Initiator: "iqn.1993-08.org.debian:open", Authentication: "0",
					LUNs: map[int]MappedLUN{0: {LUN: 0, Link: "lun", WriteProtect: true}},
				},
			},
			Connections: []Session{{Initiator: guestInitiator, Address: "127.0.0.1", Transport: TCP}},
			Sessions:    1,
		}))
	})

	It("reads a target of ours that admits anybody, with a LUN that is linked to nothing", func() {
		Expect(ReadTarget(files, ISCSITarget("iqn.2026-11.io.volreconciler:any"))).To(Equal(Target{
			Fabric: ISCSI, Name: "iqn.2026-11.io.volreconciler:any", HasTPG: true, Enabled: true, Mark: "volreconciler:any",
			Attrib:          TPGAttrib{GenerateNodeACLs: true, CacheDynamicACLs: true, DemoModeDiscovery: true},
			Portals:         map[string]Transport{"[::]:3260": TCP},
			LUNs:            map[int]TargetLUN{3: {Backstore: "iblock_900/volreconciler:volume:t1", Link: "backstore"}, 4: {}},
			ACLs:            map[string]ACL{},
			DynamicSessions: []string{guestInitiator},
			Connections:     []Session{{Initiator: guestInitiator}},
			Sessions:        1,
		}))
	})

	It("looks at no password, and at no access list's user, of somebody else's target", func() {
		Expect(ReadTarget(files, ISCSITarget("iqn.2003-01.org.foreign:x"))).To(Equal(Target{
			Fabric: ISCSI, Name: "iqn.2003-01.org.foreign:x", HasTPG: true, Enabled: true, Mark: "LIO Target",
			Portals:  map[string]Transport{"0.0.0.0:3260": TCP},
			LUNs:     map[int]TargetLUN{0: {Backstore: "iblock_0/foreign1", Link: "9afeecee37"}},
			ACLs:     map[string]ACL{guestInitiator: {Initiator: guestInitiator}},
			Sessions: -1,
		}))
		Expect(files.read).NotTo(ContainElement(MatchRegexp("/password|/acls/.*/auth/")))
	})

	DescribeTable("tells an empty shell from a target",
		func(name string, empty bool) {
			target, err := ReadTarget(files, ISCSITarget("iqn.2026-11.io.volreconciler:"+name))
			Expect(err).NotTo(HaveOccurred())
			Expect(target.Empty()).To(Equal(empty))
		},
		Entry("without a portal group", "shell", true),
		Entry("with an untouched one", "empty", true),
		Entry("with another portal group", "two", false),
		Entry("with contents", "db", false),
	)

	It("takes the group's authentication where an ACL has none of its own", func() {
		delete(files.tree, path.Join(ISCSITarget("iqn.2026-11.io.volreconciler:db").ACL(guestInitiator), "attrib/authentication")[1:])
		target, err := ReadTarget(files, ISCSITarget("iqn.2026-11.io.volreconciler:db"))
		Expect(err).NotTo(HaveOccurred())
		Expect(target.ACLs[guestInitiator].Authentication).To(Equal("-1"))
	})

	It("does not know the number of sessions where the kernel does not count them", func() {
		delete(files.tree, path.Join(ISCSITarget("iqn.2026-11.io.volreconciler:db").Path, "fabric_statistics/iscsi_instance/sessions")[1:])
		target, err := ReadTarget(files, ISCSITarget("iqn.2026-11.io.volreconciler:db"))
		Expect(err).NotTo(HaveOccurred())
		Expect(target.Sessions).To(Equal(-1))
	})

	Describe("beside somebody who changes it", func() {
		const iqn = "iqn.2026-11.io.volreconciler:db"

		It("reads again what vanished while it was read", func() {
			files.fail(ISCSITarget(iqn).Alias(), fs.ErrNotExist, 1)
			targets, err := readLIO(files)
			Expect(err).NotTo(HaveOccurred())
			Expect(targets.ISCSI).To(HaveKey(iqn))
		})

		It("reads again after a signal", func() {
			files.fail(ISCSITarget(iqn).Alias(), syscall.EINVAL, 2)
			targets, err := readLIO(files)
			Expect(err).NotTo(HaveOccurred())
			Expect(targets.ISCSI).To(HaveKey(iqn))
		})

		It("leaves out a target that is gone", func() {
			files.removeWhenRead = ISCSITarget(iqn).Alias()
			files.remove = ISCSITarget(iqn).Path
			targets, err := readLIO(files)
			Expect(err).NotTo(HaveOccurred())
			Expect(targets.ISCSI).NotTo(HaveKey(iqn))
			Expect(targets.ISCSI).To(HaveLen(5))
		})

		It("leaves out a backstore that is gone", func() {
			dir := BackstoreDir(ondisk.HBA, "volreconciler:volume:v1")
			files.removeWhenRead = path.Join(dir, "info")
			files.remove = dir
			targets, err := readLIO(files)
			Expect(err).NotTo(HaveOccurred())
			Expect(targets.Backstores).To(HaveLen(4))
		})
	})

	DescribeTable("reports nothing at all if anything cannot be read",
		func(file string, failure error) {
			files.fail(file, failure, 100)
			targets, err := readLIO(files)
			Expect(err).To(MatchError(failure))
			Expect(targets).To(BeZero())
		},
		Entry("the backstores", BackstoresDir, fs.ErrPermission),
		Entry("an HBA", HBADir("iblock_0"), syscall.EIO),
		Entry("a backstore", path.Join(BackstoreDir("iblock_0", "foreign1"), "info"), syscall.EIO),
		Entry("the targets", ISCSIDir, fs.ErrPermission),
		Entry("a target", ISCSITarget("iqn.2003-01.org.foreign:x").Alias(), syscall.EIO),
		Entry("a password", path.Join(ISCSITarget("iqn.2026-11.io.volreconciler:db").ACL(guestInitiator), "auth/password"), fs.ErrPermission),
		Entry("an attribute that stays away", path.Join(ISCSITarget("iqn.2026-11.io.volreconciler:db").TPG(), "enable"), fs.ErrNotExist),
	)

	It("needs few reads for a target", func() {
		_, err := ReadTarget(files, ISCSITarget("iqn.2026-11.io.volreconciler:any"))
		Expect(err).NotTo(HaveOccurred())
		const target, perLUN = 16, 2
		Expect(len(files.read)).To(BeNumerically("<", target+2*perLUN+len(targetAttributes)))
	})
})

// recordedFiles is a recorded tree of files. It is not for changes.
type recordedFiles struct {
	host.Files
	mu   sync.Mutex // several objects are read at once
	tree fstest.MapFS
	// read are the paths read so far, in order.
	read []string
	// failures are errors that reading a path returns, one after the other.
	failures map[string][]error
	// removeWhenRead is a path at whose reading the directory remove vanishes.
	removeWhenRead, remove string
}

func (f *recordedFiles) fail(name string, err error, times int) {
	for range times {
		f.failures[name] = append(f.failures[name], err)
	}
}

func (f *recordedFiles) touch(op, name string) error {
	f.read = append(f.read, name)
	if name == f.removeWhenRead {
		for file := range f.tree {
			if strings.HasPrefix("/"+file+"/", f.remove+"/") {
				delete(f.tree, file)
			}
		}
	}
	if failures := f.failures[name]; len(failures) > 0 {
		f.failures[name] = failures[1:]
		return &fs.PathError{Op: op, Path: name, Err: failures[0]}
	}
	return nil
}

func (f *recordedFiles) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.touch("open", name); err != nil {
		return nil, err
	}
	return f.tree.ReadFile(name[1:])
}

func (f *recordedFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.touch("open", name); err != nil {
		return nil, err
	}
	return f.tree.ReadDir(name[1:])
}

func (f *recordedFiles) Readlink(name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.touch("readlink", name); err != nil {
		return "", err
	}
	return f.tree.ReadLink(name[1:])
}

// readRecording reads a file with lines of the forms "dir PATH", "link PATH
// TARGET" and "file PATH "CONTENT"", with paths relative to LIODir.
func readRecording(name string) *recordedFiles {
	GinkgoHelper()
	recording, err := os.Open(name)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = recording.Close() }()
	tree := fstest.MapFS{}
	lines := bufio.NewScanner(recording)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		relative, content, _ := strings.Cut(rest, " ")
		file := path.Join(LIODir, relative)[1:]
		switch kind {
		case "dir":
			tree[file] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		case "link":
			tree[file] = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(content)}
		case "file":
			text, err := strconv.Unquote(content)
			Expect(err).NotTo(HaveOccurred())
			tree[file] = &fstest.MapFile{Mode: 0o644, Data: []byte(text)}
		case "#":
		default:
			Fail("not a line of a recording: " + lines.Text())
		}
	}
	Expect(lines.Err()).NotTo(HaveOccurred())
	return &recordedFiles{tree: tree, failures: map[string][]error{}}
}
