package fakehost_test

import (
	"bufio"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// recording is the tree of a real kernel.
const recording = "../../observe/testdata/lio_6.1.txt"

// recorded returns what is in the recording, and the texts of its symlinks.
func recorded() (entries []fakehost.Entry, links map[string]string) {
	GinkgoHelper()
	f, err := os.Open(recording)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = f.Close() }()
	entries, links = []fakehost.Entry{{Path: "."}}, map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		name, content, _ := strings.Cut(rest, " ")
		e := fakehost.Entry{Path: name}
		switch kind {
		case "#":
			continue
		case "link":
			links[name] = content
			_, e.Link, _ = strings.Cut(content, "target/")
		case "file":
			text, err := strconv.Unquote(content)
			Expect(err).NotTo(HaveOccurred())
			e.Text = &text
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b fakehost.Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries, links
}

// below returns the entries of a directory, as lines.
func below(entries []fakehost.Entry, dir string, without ...string) []string {
	var lines []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Path+"/", dir+"/")
		if !ok || slices.Contains(without, strings.TrimSuffix(rest, "/")) {
			continue
		}
		line := rest + " " + e.Link
		if e.Text != nil {
			line += strconv.Quote(*e.Text)
		}
		lines = append(lines, line)
	}
	return lines
}

var _ = Describe("configfs on the fake machine", func() {
	const (
		root  = observe.LIODir
		hba   = "core/iblock_0"
		bs    = hba + "/b"
		tgt   = "iscsi/iqn.2003-01.org.foreign:y"
		tpg   = tgt + "/tpgt_1"
		lun   = tpg + "/lun/lun_0"
		acl   = tpg + "/acls/iqn.1993-08.org.debian:guest"
		acl7  = acl + "/lun_7"
		port  = tpg + "/np/127.0.0.1:3260"
		other = "iscsi/iqn.2003-01.org.foreign:z"
	)
	var h *fakehost.Host
	write := func(name, text string) error { return h.WriteFile(path.Join(root, name), []byte(text)) }
	mkdir := func(name string) error { return h.Mkdir(path.Join(root, name)) }
	remove := func(name string) error { return h.Remove(path.Join(root, name)) }
	link := func(to, name string) error { return h.Symlink(path.Join(root, to), path.Join(root, name)) }
	read := func(name string) string {
		GinkgoHelper()
		text, err := h.ReadFile(path.Join(root, name))
		Expect(err).NotTo(HaveOccurred())
		return string(text)
	}
	all := func(errs ...error) {
		GinkgoHelper()
		for i, err := range errs {
			Expect(err).NotTo(HaveOccurred(), "%d", i)
		}
	}
	bind := func(name, device string) {
		GinkgoHelper()
		all(mkdir(name), write(name+"/control", "udev_path="+device), write(name+"/udev_path", device), write(name+"/enable", "1"))
	}
	BeforeEach(func(ctx SpecContext) {
		h = lioMachine()
		_, err := h.Run(ctx, "modprobe", "target_core_mod")
		Expect(err).NotTo(HaveOccurred())
		all(mkdir("iscsi"), mkdir(hba))
		bind(bs, "/dev/vg-0/v1")
		all(mkdir(tgt), mkdir(tpg), mkdir(lun), link(bs, lun+"/x"), mkdir(acl), mkdir(acl7), link(lun, acl7+"/y"), mkdir(port))
	})

	Describe("next to a real kernel", func() {
		It("keeps its whole tree", func() {
			entries, links := recorded()
			h, err := fakehost.New(fakehost.Node{Modules: []string{"target_core_mod", "target_core_iblock", "iscsi_target_mod"}, ConfigFS: entries})
			Expect(err).NotTo(HaveOccurred())
			Expect(h.Node().ConfigFS).To(Equal(entries))
			reloaded(h)
			for name, text := range links {
				Expect(h.Readlink(path.Join(root, name))).To(Equal(text))
			}
			Expect(links).NotTo(BeEmpty())
			Expect(h.Node().Sockets).To(ConsistOf("10.9.8.7:3260", "127.0.0.1:3260", "[::1]:3260"), "the others share them")
			Expect(observed(h).ISCSI[iqn].Sessions).To(Equal(1))
			Expect(h.Logout(iqn, initiator)).To(Succeed())
			Expect(observed(h).ISCSI[iqn].Sessions).To(BeZero())
			Expect(observed(h).ISCSI[iqn].ACLs[initiator].LoggedIn).To(BeFalse())
		})

		DescribeTable("has its defaults",
			func(dir string, create func(), without ...string) {
				entries, _ := recorded()
				want := below(entries, dir)
				Expect(want).NotTo(BeEmpty())
				create()
				// What was not recorded is compared where the scenarios run on a kernel.
				for _, name := range append(slices.Collect(maps.Keys(spec.Attributes)), "fabric_prot_type", "netif_timeout", "t10_pi") {
					without = append(without, "tpgt_1/attrib/"+name, "tpgt_1/param/"+name)
					if name != "max_unmap_block_desc_count" {
						without = append(without, "attrib/"+name)
					}
				}
				for _, e := range h.Node().ConfigFS {
					unrecorded := []string{"statistics", "product_id", "company_id", "vendor_id", "block_size", "hw_block_size", "pi_prot_type", "pr"}
					if slices.Contains(unrecorded, path.Base(e.Path)) || path.Base(path.Dir(e.Path)) == "pr" || strings.Contains(e.Path, "/alua") {
						without = append(without, strings.TrimPrefix(e.Path, dir+"/"))
					}
				}
				Expect(below(h.Node().ConfigFS, dir, without...)).To(Equal(want))
			},
			Entry("of a backstore", "core/iblock_900/volreconciler:volume:half", func() {
				all(mkdir("core/iblock_900"), mkdir("core/iblock_900/volreconciler:volume:half"))
			}, "alias", "control"),
			Entry("of a backstore that is exported read-only", "core/iblock_900/volreconciler:snapshot:t2", func() {
				const b = "core/iblock_900/volreconciler:snapshot:t2"
				h = lioMachine(func(n *fakehost.Node) {
					vg := &n.VolumeGroups[0]
					vg.Name, vg.LogicalVolumes[2].Name, vg.LogicalVolumes[2].Minor = "vg0", "t2", 6
				})
				_, err := h.Run(GinkgoT().Context(), "modprobe", "-q", "target_core_iblock")
				all(err, mkdir("core/iblock_900"), mkdir(b),
					write(b+"/control", "udev_path=/dev/vg0/t2,readonly=1"), write(b+"/udev_path", "/dev/vg0/t2"),
					write(b+"/wwn/vpd_unit_serial", "599b2b39-a530-ec32-6917-30289065a97f"), write(b+"/enable", "1"),
					mkdir("iscsi"), mkdir(tgt), mkdir(tpg), mkdir(lun), link(b, lun+"/x"))
			}, "alias", "control"),
			Entry("of a target without a portal group", "iscsi/iqn.2026-11.io.volreconciler:shell", func() {
				all(mkdir("iscsi/iqn.2026-11.io.volreconciler:shell"))
			}),
			Entry("of a target with one", "iscsi/iqn.2026-11.io.volreconciler:empty", func() {
				all(mkdir("iscsi/iqn.2026-11.io.volreconciler:empty"), mkdir("iscsi/iqn.2026-11.io.volreconciler:empty/tpgt_1"))
			}),
			Entry("of a target that is in use", "iscsi/iqn.2003-01.org.foreign:x", func() {
				const (
					tgt = "iscsi/iqn.2003-01.org.foreign:x"
					tpg = tgt + "/tpgt_1"
					acl = tpg + "/acls/" + initiator
				)
				all(remove(port), mkdir("core/iblock_0/foreign1"), write("core/iblock_0/foreign1/control", "udev_path=/dev/vg-0/v2\n"),
					write("core/iblock_0/foreign1/enable", "1\n"),
					mkdir(tgt), mkdir(tpg), mkdir(tpg+"/np/0.0.0.0:3260"), mkdir(tpg+"/lun/lun_0"),
					link("core/iblock_0/foreign1", tpg+"/lun/lun_0/9afeecee37"), write(tpg+"/attrib/authentication", "0\n"),
					mkdir(acl), write(acl+"/auth/userid", "foo"), write(acl+"/auth/password", "foopassword1"),
					mkdir(acl+"/lun_0"), link(tpg+"/lun/lun_0", acl+"/lun_0/afbe070eab"), write(tpg+"/enable", "1\n"))
			}),
		)
	})

	DescribeTable("refuses to make",
		func(name string, want syscall.Errno) {
			err := mkdir(name)
			Expect(err).To(MatchError(want))
			var pathError *fs.PathError
			Expect(errors.As(err, &pathError)).To(BeTrue())
			Expect(pathError.Path).To(Equal(path.Join(root, name)))
			reloaded(h)
		},
		Entry("what is there", tpg, syscall.EEXIST),
		Entry("what is an attribute", tpg+"/enable", syscall.EEXIST),
		Entry("anything in what is not there", other+"/tpgt_1", syscall.ENOENT),
		Entry("anything in an attribute", tpg+"/enable/x", syscall.ENOTDIR),
		Entry("anything where nothing is made", tpg+"/attrib/x", syscall.EPERM),
		Entry("anything in a LUN", lun+"/z", syscall.EPERM),
		Entry("another fabric", "fc", syscall.EINVAL),
		Entry("an HBA without a number", "core/iblock", syscall.EINVAL),
		Entry("an HBA with a bad number", "core/iblock_x", syscall.EINVAL),
		Entry("an HBA of another driver", "core/floppy_0", syscall.EINVAL),
		Entry("a target with a long name", "iscsi/iqn."+strings.Repeat("x", 220), syscall.EINVAL),
		Entry("a portal group with a bad name", tgt+"/tpg_1", syscall.EINVAL),
		Entry("a portal group with a large number", tgt+"/tpgt_65536", syscall.EINVAL),
		Entry("a LUN with a bad name", tpg+"/lun/0", syscall.EINVAL),
		Entry("a LUN with a bad number", tpg+"/lun/lun_0_", syscall.EINVAL),
		Entry("a mapped LUN with a bad name", acl+"/x", syscall.EINVAL),
	)

	DescribeTable("refuses to remove",
		func(name string, want syscall.Errno) {
			before := h.Node()
			Expect(remove(name)).To(MatchError(want))
			Expect(h.Node()).To(Equal(before))
		},
		Entry("what is not there", other, syscall.ENOENT),
		Entry("an HBA with a backstore", hba, syscall.ENOTEMPTY),
		Entry("a backstore that is a LUN", bs, syscall.EBUSY),
		Entry("a LUN that is mapped", lun, syscall.EBUSY),
		Entry("a mapped LUN that is linked", acl7, syscall.ENOTEMPTY),
		Entry("an ACL with a mapped LUN", acl, syscall.ENOTEMPTY),
		Entry("a portal group with anything in it", tpg, syscall.ENOTEMPTY),
		Entry("a target with a portal group", tgt, syscall.ENOTEMPTY),
		Entry("iSCSI with a target", "iscsi", syscall.ENOTEMPTY),
		Entry("an attribute", tpg+"/enable", syscall.EPERM),
		Entry("a directory of the kernel", tpg+"/np", syscall.EPERM),
		Entry("an empty directory of the kernel", acl+"/param", syscall.EPERM),
		Entry("LIO", ".", syscall.EPERM),
		Entry("the backstores", "core", syscall.EPERM),
	)

	It("removes all in the right order", func() {
		for _, name := range []string{acl7 + "/y", acl7, acl, lun + "/x", lun, port, tpg, tgt, "iscsi", bs, hba} {
			Expect(remove(name)).To(Succeed(), name)
			reloaded(h)
		}
		dbRoot := "/var/target\n"
		Expect(h.Node().ConfigFS).To(Equal([]fakehost.Entry{{Path: "."}, {Path: "core"}, {Path: "dbroot", Text: &dbRoot}}))
		Expect(isOpen(h, "v1")).To(BeFalse())
	})

	DescribeTable("refuses to link",
		func(to, name string, want syscall.Errno) {
			all(mkdir(hba+"/off"), mkdir(tpg+"/lun/lun_1"), mkdir(tpg+"/lun/lun_2"), mkdir(acl+"/lun_1"), mkdir(other), mkdir(other+"/tpgt_1"),
				mkdir(other+"/tpgt_1/lun/lun_0"), link(bs, other+"/tpgt_1/lun/lun_0/x"))
			before := h.Node()
			err := link(to, name)
			Expect(err).To(MatchError(want))
			var linkError *os.LinkError
			Expect(errors.As(err, &linkError)).To(BeTrue())
			Expect(h.Node()).To(Equal(before))
		},
		Entry("twice from a LUN", bs, lun+"/z", syscall.EEXIST),
		Entry("twice under the same name", bs, lun+"/x", syscall.EEXIST),
		Entry("a LUN to what is not there", hba+"/gone", tpg+"/lun/lun_1/x", syscall.ENOENT),
		Entry("a LUN to a backstore that is not enabled", hba+"/off", tpg+"/lun/lun_1/x", syscall.ENODEV),
		Entry("a LUN to something else", hba, tpg+"/lun/lun_1/x", syscall.EFAULT),
		Entry("a LUN to an attribute", bs+"/info", tpg+"/lun/lun_1/x", syscall.ENOTDIR),
		Entry("a LUN outside of configfs", "../../../module/target_core_mod", tpg+"/lun/lun_1/x", syscall.EPERM),
		Entry("from what is not there", bs, tpg+"/lun/lun_3/x", syscall.ENOENT),
		Entry("from what has no links", bs, tpg+"/lun/x", syscall.EPERM),
		Entry("twice from a mapped LUN", lun, acl7+"/z", syscall.EINVAL),
		Entry("a mapped LUN to a LUN without a backstore", tpg+"/lun/lun_1", acl+"/lun_1/x", syscall.EINVAL),
		Entry("a mapped LUN to another target's LUN", other+"/tpgt_1/lun/lun_0", acl+"/lun_1/x", syscall.EINVAL),
		Entry("a mapped LUN to a backstore", bs, acl+"/lun_1/x", syscall.EFAULT),
	)

	DescribeTable("keeps what is written",
		func(name, value, want string) {
			Expect(write(name, value)).To(Succeed())
			Expect(read(name)).To(Equal(want))
			reloaded(h)
		},
		Entry("a flag", tpg+"/attrib/demo_mode_discovery", "0", "0\n"),
		Entry("a flag, with a newline and in hexadecimal", tpg+"/attrib/authentication", "0x0\n", "0\n"),
		Entry("an ACL's authentication", acl+"/attrib/authentication", "-1\n", "-1\n"),
		Entry("the alias of a target", tpg+"/param/TargetAlias", "a b\n", "a b\n"),
		Entry("a password, newline included", acl+"/auth/password", "secret\n", "secret\n\n"),
		Entry("no password", acl+"/auth/password", "NULL", "NULL\n"),
		Entry("a portal group's user, newline included", tpg+"/auth/userid_mutual", "u\n", "u\n\n"),
		Entry("the beginning of a portal group's user", tpg+"/auth/userid_mutual", strings.Repeat("x", 300), strings.Repeat("x", 255)+"\n"),
		Entry("the alias of a backstore", bs+"/alias", "x\n", "x\n"),
		Entry("unmap, as a boolean", bs+"/attrib/emulate_tpu", "y", "1\n"),
		Entry("unmap by WRITE SAME, as a boolean", bs+"/attrib/emulate_tpws", "on", "1\n"),
		Entry("write protection", acl7+"/write_protect", "1", "1\n"),
		Entry("a portal group's state", tpg+"/enable", "1\n", "1\n"),
	)

	DescribeTable("refuses to write",
		func(name, value string, want syscall.Errno) {
			all(mkdir(hba + "/off"))
			before := h.Node()
			Expect(write(name, value)).To(MatchError(want))
			Expect(h.Node()).To(Equal(before))
		},
		Entry("what is not there", tpg+"/attrib/x", "1", syscall.ENOENT),
		Entry("a directory", tpg+"/attrib", "1", syscall.EISDIR),
		Entry("what is only read", bs+"/info", "1", syscall.EACCES),
		Entry("a flag that is none", tpg+"/attrib/authentication", "yes", syscall.EINVAL),
		Entry("a flag that is too large", tpg+"/attrib/authentication", "2", syscall.EINVAL),
		Entry("a number that is too large", tpg+"/attrib/authentication", "4294967296", syscall.ERANGE),
		Entry("a negative flag", tpg+"/attrib/authentication", "-1", syscall.EINVAL),
		Entry("an ACL's authentication that is none", acl+"/attrib/authentication", "2", syscall.EINVAL),
		Entry("a portal group's state that is none", tpg+"/enable", "maybe", syscall.EINVAL),
		Entry("a password that is too long", acl+"/auth/password", strings.Repeat("x", 256), syscall.EINVAL),
		Entry("an alias with a comma", tpg+"/param/TargetAlias", "a,b", syscall.EINVAL),
		Entry("write protection that is none", acl7+"/write_protect", "2", syscall.EINVAL),
		Entry("the serial of a backstore that is exported", bs+"/wwn/vpd_unit_serial", "x", syscall.EINVAL),
		Entry("a serial that is too long", hba+"/off/wwn/vpd_unit_serial", strings.Repeat("x", 254), syscall.EOVERFLOW),
		Entry("the device of a backstore that is enabled", bs+"/control", "udev_path=/dev/vg-0/v2", syscall.EEXIST),
		Entry("no device", hba+"/off/control", "udev_path=", syscall.EINVAL),
		Entry("enable, twice", bs+"/enable", "1", syscall.EEXIST),
		Entry("enable, with no device", hba+"/off/enable", "1", syscall.EINVAL),
		Entry("disable", bs+"/enable", "0", syscall.EINVAL),
		Entry("unmap before there is a device", hba+"/off/attrib/emulate_tpu", "1", syscall.ENOSYS),
		Entry("unmap by WRITE SAME before there is a device", hba+"/off/attrib/emulate_tpws", "1", syscall.ENOSYS),
	)

	It("does not bind a backstore to what is not there, or not active", func() {
		for _, device := range []string{"/dev/vg-0/gone", "/dev/vg-0/asleep", "/dev/dm-77"} {
			all(mkdir(hba+"/c"), write(hba+"/c/control", "udev_path="+device))
			Expect(write(hba+"/c/enable", "1")).To(MatchError(syscall.ENOENT), device)
			all(remove(hba + "/c"))
		}
	})

	It("forgets the device of a backstore that is removed", func() {
		bind(hba+"/c", "/dev/dm-3")
		Expect(isOpen(h, "v2")).To(BeTrue())
		all(remove(hba + "/c"))
		Expect(isOpen(h, "v2")).To(BeFalse())
		bind(hba+"/d", "/dev/vg-0/v2")
	})

	It("shows a mapped LUN as its group says at that moment", func() {
		all(mkdir(acl + "/lun_8"))
		Expect(read(acl + "/lun_8/write_protect")).To(BeEmpty())
		all(write(acl+"/lun_8/write_protect", "1"))
		Expect(read(acl + "/lun_8/write_protect")).To(BeEmpty())
		all(write(tpg+"/attrib/prod_mode_write_protect", "1"), link(lun, acl+"/lun_8/x"), write(tpg+"/attrib/prod_mode_write_protect", "0"))
		Expect(read(acl + "/lun_8/write_protect")).To(Equal("1\n"))
		Expect(read(acl7 + "/write_protect")).To(Equal("0\n"))
		all(remove(lun + "/x"))
		Expect(read(acl7 + "/write_protect")).To(BeEmpty())
	})

	It("shows whether a backstore is exported", func() {
		all(mkdir(tpg+"/lun/lun_1"), link(bs, tpg+"/lun/lun_1/x"), remove(lun+"/x"))
		Expect(read(bs + "/info")).To(HavePrefix("Status: ACTIVATED "))
		all(remove(tpg + "/lun/lun_1/x"))
		Expect(read(bs + "/info")).To(HavePrefix("Status: DEACTIVATED "))
		all(write(bs+"/wwn/vpd_unit_serial", "abc\n"))
		Expect(read(bs + "/wwn/vpd_unit_serial")).To(Equal("T10 VPD Unit Serial Number: abc\n"))
	})

	It("cannot be read as something else", func() {
		_, err := h.ReadFile(root)
		Expect(err).To(MatchError(syscall.EISDIR))
		_, err = h.ReadFile(path.Join(root, bs, "control"))
		Expect(err).To(MatchError(fs.ErrPermission))
		_, err = h.ReadDir(path.Join(root, bs, "info"))
		Expect(err).To(MatchError(syscall.ENOTDIR))
		_, err = h.Readlink(path.Join(root, bs))
		Expect(err).To(MatchError(syscall.EINVAL))
		_, err = h.Readlink(path.Join(root, bs, "gone"))
		Expect(err).To(MatchError(fs.ErrNotExist))
	})

	It("has symlinks that can be followed", func() {
		Expect(h.ReadFile(path.Join(root, acl7, "y", "x", "enable"))).To(BeEquivalentTo("1\n"))
	})

	DescribeTable("is not loaded from what cannot be",
		func(entries ...fakehost.Entry) {
			_, err := fakehost.New(fakehost.Node{ConfigFS: entries})
			Expect(err).To(HaveOccurred())
		},
		Entry("a directory in nothing", fakehost.Entry{Path: "core/x/y"}),
		Entry("a file in nothing", fakehost.Entry{Path: "iscsi/x"}),
		Entry("a symlink to nothing", fakehost.Entry{Path: "iscsi"}, fakehost.Entry{Path: "iscsi/x", Link: "core/y"}),
	)
})

var _ = Describe("the rest of the fake machine", func() {
	It("has device nodes of what is active", func() {
		h := lioMachine()
		Expect(h.Readlink("/dev/vg-0/v1")).To(Equal("../dm-2"))
		_, err := h.Readlink("/dev/vg-0/asleep")
		Expect(err).To(MatchError(fs.ErrNotExist))
		Expect(h.ReadFile("/sys/class/block/dm-2/dm/name")).To(BeEquivalentTo("vg--0-v1\n"))
		Expect(h.ReadFile("/sys/block/dm-2/dev")).To(BeEquivalentTo("253:2\n"))
		Expect(h.ReadFile("/sys/class/block/dm-2/dm/uuid")).To(BeEquivalentTo(
			"LVM-9xyzuETcKtnll1UZEKJP3XXSvm9goYD9klPxWHqTP95sIJDvsxhDgBlL4eLO3pQe\n"))
		_, err = h.ReadFile("/sys/class/block/dm-4/dm/name")
		Expect(err).To(MatchError(fs.ErrNotExist))
	})

	It("shows who holds a device", func() {
		h := lioMachine(func(n *fakehost.Node) {
			n.VolumeGroups[0].LogicalVolumes[2].HeldBy = []string{"crypt", "vg1-root"}
			n.VolumeGroups[0].LogicalVolumes[3].HeldBy = []string{"vg1-home"}
			n.Mounts = []fakehost.Mount{{LV: "vg-0/v1", Dir: "/mnt/with space"}}
		})
		holders := observe.ReadHolders(h)
		Expect(holders.Of(253, 2)).To(ConsistOf("mounted on /mnt/with space", HaveSuffix("(crypt)"), HaveSuffix("(vg1-root)")))
		Expect(holders.Of(253, 3)).To(ConsistOf(HaveSuffix("(vg1-home)")))
		Expect(holders.Of(253, 1)).To(BeEmpty())
	})

	DescribeTable("is not loaded with a bad address",
		func(n fakehost.Node) {
			_, err := fakehost.New(n)
			Expect(err).To(HaveOccurred())
		},
		Entry("of somebody else", fakehost.Node{Listeners: []string{"10.0.0.1"}}),
		Entry("of LIO", fakehost.Node{Sockets: []string{"x:1"}}),
	)

	It("keeps modules that are loaded, whatever can be loaded", func() {
		h := lioMachine(func(n *fakehost.Node) {
			n.Modules, n.MissingModules = []string{"target_core_mod"}, []string{"target_core_mod"}
			n.ConfigFS = []fakehost.Entry{{Path: "."}, {Path: "core"}, {Path: "iscsi"}}
		})
		Expect(reloaded(h).Node().Modules).To(Equal([]string{"target_core_mod"}))
	})

	It("shows the modules that are loaded", func(ctx SpecContext) {
		h := lioMachine()
		_, err := h.ReadDir("/sys/module/target_core_mod")
		Expect(err).To(MatchError(fs.ErrNotExist))
		_, err = h.ReadDir(observe.LIODir)
		Expect(err).To(MatchError(fs.ErrNotExist))
		_, err = h.Run(ctx, "modprobe", "iscsi_target_mod")
		Expect(err).NotTo(HaveOccurred())
		_, err = h.ReadDir("/sys/module/target_core_mod")
		Expect(err).NotTo(HaveOccurred())
		Expect(h.Node().Modules).To(Equal([]string{"iscsi_target_mod", "target_core_mod"}))
	})
})
