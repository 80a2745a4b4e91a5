package observe

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"testing/fstest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const someTarget = "iqn.2026-11.io.volreconciler:any"

var _ = Describe("What is remembered of LIO", func() {
	var (
		files *recordedFiles
		c     *cache
	)
	BeforeEach(func() {
		files = readRecording("testdata/lio_6.1.txt")
		c = newCache(files)
		c.switchOn()
	})

	set := func(file, text string) {
		GinkgoHelper()
		Expect(files.tree).To(HaveKey(file[1:]))
		files.tree[file[1:]] = &fstest.MapFile{Mode: 0o644, Data: []byte(text)}
	}
	// read returns what is there, and how many files of targets and backstores were read for that.
	read := func() (Targets, int) {
		GinkgoHelper()
		files.read = nil
		targets, err := readLIO(c)
		Expect(err).NotTo(HaveOccurred())
		n := 0
		for _, p := range files.read {
			if _, inside := objectOf(p); inside {
				n++
			}
		}
		return targets, n
	}
	generate := ISCSITarget(someTarget).Attrib() + "/generate_node_acls"

	It("is what is read, and read once", func() {
		want, err := readLIO(files)
		Expect(err).NotTo(HaveOccurred())
		first, reads := read()
		Expect(first).To(Equal(want))
		Expect(reads).To(BeNumerically(">", 50))
		again, reads := read()
		Expect(again).To(Equal(want))
		Expect(reads).To(BeZero())
	})

	It("is read again for one target, if one of its files was changed", func() {
		before, _ := read()
		Expect(before.ISCSI[someTarget].Attrib.GenerateNodeACLs).To(BeTrue())
		set(generate, "0\n")
		Expect(read()).To(HaveField("ISCSI", HaveKeyWithValue(someTarget, HaveField("Attrib.GenerateNodeACLs", true))))
		c.forget(generate)
		after, _ := read()
		Expect(after.ISCSI[someTarget].Attrib.GenerateNodeACLs).To(BeFalse())
		for _, p := range files.read {
			if object, inside := objectOf(p); inside {
				Expect(object).To(BeElementOf(ISCSITarget(someTarget).Path, ISCSITarget("discovery_auth").Path))
			}
		}
		Expect(before.ISCSI[someTarget].Attrib.GenerateNodeACLs).To(BeTrue(), "who has it already is not surprised")
	})

	It("is read again for one backstore", func() {
		before, _ := read()
		var some Backstore
		for _, some = range before.Backstores {
			if _, ours := some.Owner(); ours {
				break
			}
		}
		dir := BackstoreDir(some.HBA, some.Name)
		set(dir+"/wwn/vpd_unit_serial", "T10 VPD Unit Serial Number: another\n")
		c.forget(dir + "/wwn/vpd_unit_serial")
		after, _ := read()
		Expect(after.Backstores[some.Path()].Serial).To(Equal("another"))
	})

	It("does not last if a part of it could not be read", func() {
		sessions := ISCSITarget(someTarget).Path + "/fabric_statistics/iscsi_instance/sessions"
		files.fail(sessions, syscall.EIO, 1)
		first, _ := read()
		Expect(first.ISCSI[someTarget].Sessions).To(Equal(-1))
		second, _ := read()
		Expect(second.ISCSI[someTarget].Sessions).To(BeNumerically(">=", 0))
	})

	It("does not last if something was forgotten while it was read", func() {
		_, _, err := remembered(c, ISCSITarget(someTarget).Path, func() (Target, bool, error) {
			t, err := readTarget(c, ISCSITarget(someTarget))
			c.forget(generate)
			_, later := c.ReadFile(ISCSITarget(someTarget).Enable())
			return t, true, errors.Join(err, later)
		})
		Expect(err).NotTo(HaveOccurred())
		set(generate, "0\n")
		after, _ := read()
		Expect(after.ISCSI[someTarget].Attrib.GenerateNodeACLs).To(BeFalse())
	})

	It("is compared by an audit", func() {
		read()
		set(generate, "0\n")
		c.audit()
		after, _ := read()
		Expect(after.ISCSI[someTarget].Attrib.GenerateNodeACLs).To(BeFalse())
		Expect(c.endAudit()).To(BeTrue())
		Expect(c.takeMissed(nil)).To(Equal([]string{ISCSITarget(someTarget).Path}))

		set(ISCSITarget(someTarget).TPG()+"/dynamic_sessions", "iqn.1993-08.org.debian:x\n\x00")
		c.audit()
		read()
		Expect(c.endAudit()).To(BeFalse(), "the kernel does not tell of sessions")
	})

	It("has the names and types of what is in a directory", func() {
		for _, dir := range []string{ISCSIDir, ISCSITarget(someTarget).TPG(), ISCSITarget("iqn.2026-11.io.volreconciler:db").LUNs() + "/lun_0"} {
			want, err := files.ReadDir(dir)
			Expect(err).NotTo(HaveOccurred())
			for range 2 {
				got, err := c.ReadDir(dir)
				Expect(err).NotTo(HaveOccurred())
				Expect(got).To(HaveLen(len(want)))
				for i := range want {
					Expect(got[i]).To(And(HaveField("Name()", want[i].Name()), HaveField("Type()", want[i].Type()), HaveField("IsDir()", want[i].IsDir())))
				}
			}
		}
		missing := ISCSITarget(someTarget).Path + "/none"
		for range 2 {
			_, err := c.ReadFile(missing)
			Expect(errors.Is(err, fs.ErrNotExist)).To(BeTrue())
			Expect(err).To(MatchError(ContainSubstring(missing[1:])))
		}
	})

	It("is no more than what was made of the files, and equal values are kept once", func() {
		targets, _ := read()
		for name := range targets.ISCSI {
			o := c.objects[ISCSITarget(name).Path]
			Expect(o.parsed).To(Equal(targets.ISCSI[name]))
			Expect(o.files).To(BeEmpty())
			Expect(o.sum).NotTo(BeZero())
		}
		_, err := c.ReadFile(generate)
		Expect(err).NotTo(HaveOccurred())
		one := c.sharedAttributes(map[string]string{"a": "1"})
		c.sharedAttributes(map[string]string{"a": "1"})["b"] = "2"
		Expect(one).To(HaveKey("b"), "it is the same map")
	})

	It("does not grow with what changes", func() {
		read()
		for i := range 10_000 {
			set(generate, strings.Repeat("x", i+1))
			c.forget(generate)
			_, err := c.ReadFile(generate)
			Expect(err).NotTo(HaveOccurred())
			c.sharedAttributes(map[string]string{generate: strconv.Itoa(i)})
		}
		Expect(len(c.same)).To(BeNumerically("<", 5000))
		Expect(len(c.attributes)).To(BeNumerically("<", 100))
	})
})
