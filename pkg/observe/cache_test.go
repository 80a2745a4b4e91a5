package observe

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing/fstest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// noted are files of which is noted what is read.
type noted struct {
	host.Files
	tree fstest.MapFS
	read []string
	// meanwhile, if not nil, is called once, while a file is read.
	meanwhile func()
	fail      error
}

func (n *noted) reads(p string) error {
	n.read = append(n.read, strings.TrimPrefix(p, ConfigFS+"/"))
	if f := n.meanwhile; f != nil {
		n.meanwhile = nil
		f()
	}
	return n.fail
}

func (n *noted) ReadFile(p string) ([]byte, error) {
	data, err := n.tree.ReadFile(strings.TrimPrefix(p, "/"))
	return data, cmp.Or(n.reads(p), err)
}

func (n *noted) ReadDir(p string) ([]fs.DirEntry, error) {
	entries, err := n.tree.ReadDir(strings.TrimPrefix(p, "/"))
	return entries, cmp.Or(n.reads(p), err)
}

func (n *noted) Readlink(p string) (string, error) { return "", n.reads(p) }

var _ = Describe("the cache", func() {
	const (
		targetA  = "target/iscsi/iqn.a"
		targetB  = "target/iscsi/iqn.b"
		store    = "target/core/iblock_0/data"
		port     = "nvmet/ports/1"
		subsysA  = "nvmet/subsystems/nqn.a"
		subsysAB = "nvmet/subsystems/nqn.ab"
	)
	var n *noted
	var c *cache
	put := func(file, text string) {
		n.tree[strings.TrimPrefix(ConfigFS, "/")+"/"+file] = &fstest.MapFile{Data: []byte(text)}
	}
	readAll := func() []string {
		n.read = nil
		for _, dir := range []string{"/target", "/target/core", "/target/core/iblock_0", "/target/iscsi", "/nvmet", "/nvmet/subsystems", "/" + port + "/subsystems"} {
			_, _ = c.ReadDir(ConfigFS + dir)
		}
		for _, file := range []string{
			store + "/info", store + "/pr/keys", targetA + "/tpgt_1/enable", targetA + "/tpgt_1/missing", targetB + "/tpgt_1/enable",
			subsysA + "/attr_model", subsysAB + "/attr_model", port + "/addr_traddr",
		} {
			_, _ = c.ReadFile(ConfigFS + "/" + file)
		}
		_, _ = c.Readlink(ConfigFS + "/" + port + "/subsystems/nqn.a")
		_, _ = c.Readlink(ConfigFS + "/" + port + "/subsystems/nqn.ab")
		return n.read
	}
	BeforeEach(func() {
		n = &noted{tree: fstest.MapFS{}}
		for _, file := range []string{
			store + "/info", store + "/pr/keys", targetA + "/tpgt_1/enable", targetB + "/tpgt_1/enable", subsysA + "/attr_model", subsysAB + "/attr_model",
			port + "/addr_traddr", port + "/subsystems/nqn.a", port + "/subsystems/nqn.ab",
		} {
			put(file, file)
		}
		c = newCache(n)
	})

	It("remembers nothing before it is switched on", func() {
		Expect(readAll()).To(Equal(readAll()))
	})

	all := []string{
		"target", "target/core", "target/core/iblock_0", "target/iscsi", "nvmet", "nvmet/subsystems", port + "/subsystems",
		store + "/info", store + "/pr/keys", targetA + "/tpgt_1/enable", targetA + "/tpgt_1/missing", targetB + "/tpgt_1/enable",
		subsysA + "/attr_model", subsysAB + "/attr_model", port + "/addr_traddr", port + "/subsystems/nqn.a", port + "/subsystems/nqn.ab",
	}
	DescribeTable("reads again", func(forgotten string, expected ...string) {
		c.switchOn()
		Expect(readAll()).To(Equal(all))
		Expect(readAll()).To(BeEmpty())
		c.forget(ConfigFS + forgotten)
		Expect(readAll()).To(Equal(expected))
		Expect(readAll()).To(BeEmpty())
	},
		Entry("a target as a whole, and no other", "/"+targetA+"/tpgt_1/enable", targetA+"/tpgt_1/enable", targetA+"/tpgt_1/missing"),
		Entry("a target by what was not read of it", "/"+targetA+"/tpgt_1/param/x", targetA+"/tpgt_1/enable", targetA+"/tpgt_1/missing"),
		Entry("a target that was made or removed, and the lists above", "/"+targetA, "target", "target/iscsi", targetA+"/tpgt_1/enable", targetA+"/tpgt_1/missing"),
		Entry("the lists above a target that nobody knew", "/target/iscsi/iqn.c", "target", "target/iscsi"),
		Entry("the lists above something in a target that nobody knew", "/target/iscsi/iqn.c/tpgt_1", "target", "target/iscsi"),
		Entry("a backstore", "/"+store+"/enable", store+"/info", store+"/pr/keys"),
		Entry("a backstore in a directory that nobody knew", "/target/core/iblock_1/x", "target", "target/core"),
		Entry("all in a directory that was made or removed", "/target/core/iblock_0", "target", "target/core", "target/core/iblock_0", store+"/info", store+"/pr/keys"),
		Entry("all targets, and no backstores", "/target/iscsi", "target", "target/iscsi", targetA+"/tpgt_1/enable", targetA+"/tpgt_1/missing", targetB+"/tpgt_1/enable"),
		Entry("a subsystem, and not the one whose name begins so", "/"+subsysA+"/attr_model", subsysA+"/attr_model"),
		Entry("of a port the list of its subsystems and the one", "/"+port+"/subsystems/nqn.a", port+"/subsystems", port+"/subsystems/nqn.a"),
		Entry("of a port its address alone", "/"+port+"/addr_traddr", port+"/addr_traddr"),
		Entry("of a port all below", "/"+port+"/subsystems", port+"/subsystems", port+"/subsystems/nqn.a", port+"/subsystems/nqn.ab"),
		Entry("a port that was made or removed", "/"+port, "nvmet", port+"/subsystems", port+"/addr_traddr", port+"/subsystems/nqn.a", port+"/subsystems/nqn.ab"),
	)
	It("reads again everything", func() {
		c.switchOn()
		readAll()
		c.forgetAll()
		Expect(readAll()).To(Equal(all))
		c.audit()
		Expect(readAll()).To(Equal(all))
	})
	It("does not keep what was read while something was forgotten", func() {
		c.switchOn()
		n.meanwhile = func() {
			put(targetA+"/tpgt_1/enable", "new")
			c.forget(ConfigFS + "/" + targetA + "/tpgt_1/enable")
		}
		Expect(c.ReadFile(ConfigFS + "/" + targetA + "/tpgt_1/enable")).To(BeEquivalentTo(targetA + "/tpgt_1/enable"))
		Expect(c.ReadFile(ConfigFS + "/" + targetA + "/tpgt_1/enable")).To(BeEquivalentTo("new"))
		for _, forget := range []func(){c.forgetAll, c.audit} {
			n.meanwhile = forget
			_, _ = c.ReadFile(ConfigFS + "/" + targetB + "/tpgt_1/enable")
			Expect(n.meanwhile).To(BeNil())
			n.read = nil
			_, _ = c.ReadFile(ConfigFS + "/" + targetB + "/tpgt_1/enable")
			Expect(n.read).To(HaveLen(1))
			forget()
		}
	})
	It("keeps neither what failed, nor what is missing above all objects, nor what is elsewhere", func() {
		c.switchOn()
		n.fail = errors.New("interrupted")
		Expect(readAll()).To(Equal(readAll()))
		n.fail = nil
		for _, file := range []string{ConfigFS + "/target/qla2xxx", "/proc/self/mountinfo", "/sys/module/nvmet"} {
			n.read = nil
			for range 2 {
				_, err := c.ReadDir(file)
				Expect(err).To(MatchError(fs.ErrNotExist))
			}
			Expect(n.read).To(HaveLen(2), file)
		}
	})

	Describe("an audit", func() {
		audit := func(change func()) (missed []string) {
			GinkgoHelper()
			c.switchOn()
			readAll()
			change()
			c.audit()
			readAll()
			found := c.endAudit()
			missed = c.takeMissed(nil)
			Expect(found).To(Equal(len(missed) > 0))
			Expect(c.takeMissed(nil)).To(BeEmpty())
			return missed
		}
		at := func(files ...string) []string {
			for i := range files {
				files[i] = ConfigFS + "/" + files[i]
			}
			return files
		}
		It("finds nothing where nothing was lost", func() { Expect(audit(func() {})).To(BeEmpty()) })
		It("finds what nobody said", func() {
			Expect(audit(func() {
				put(store+"/info", "other")
				put(targetA+"/tpgt_1/missing", "there")
				put("target/iscsi/iqn.c/x", "")
			})).To(Equal(at("target/core/iblock_0/data/info", "target/iscsi", targetA+"/tpgt_1/missing")))
		})
		It("does not find what was said before, or by the agent itself while it went on", func() {
			Expect(audit(func() {
				put(store+"/info", "other")
				c.forget(ConfigFS + "/" + store + "/enable")
			})).To(BeEmpty())
			readAll()
			c.audit()
			put(targetB+"/tpgt_1/enable", "other")
			put("target/iscsi/iqn.d/x", "")
			c.forget(ConfigFS + "/" + targetB + "/tpgt_1/enable")
			c.forget(ConfigFS + "/target/iscsi/iqn.d")
			readAll()
			Expect(c.endAudit()).To(BeFalse())
		})
		It("names what it found although that is changed then", func() {
			c.switchOn()
			readAll()
			put(targetA+"/tpgt_1/enable", "other")
			c.audit()
			readAll()
			c.forget(ConfigFS + "/" + targetA + "/tpgt_1/enable")
			Expect(c.endAudit()).To(BeTrue())
			Expect(c.takeMissed(nil)).To(Equal(at(targetA + "/tpgt_1/enable")))
		})
		It("does not find what changes in silence", func() {
			put(store+"/info", "Status: DEACTIVATED  Max Queue Depth: 0")
			sessions := targetA + "/tpgt_1/acls/i/info"
			put(sessions, "none")
			c.switchOn()
			readAll()
			_, _ = c.ReadFile(ConfigFS + "/" + sessions)
			put(store+"/info", "Status: ACTIVATED  Max Queue Depth: 0")
			put(store+"/pr/keys", "another")
			put(sessions, "logged in")
			c.audit()
			readAll()
			_, _ = c.ReadFile(ConfigFS + "/" + sessions)
			Expect(c.endAudit()).To(BeFalse())
		})
		DescribeTable("does not count what is said a moment later", func(said string, counts bool) {
			c.switchOn()
			readAll()
			put(targetA+"/tpgt_1/enable", "other")
			put("target/iscsi/iqn.c/x", "")
			c.audit()
			readAll()
			Expect(c.endAudit()).To(BeTrue())
			list, file := ConfigFS+"/target/iscsi", path.Join(ConfigFS, targetA, "tpgt_1/enable")
			missed := c.takeMissed([]Part{Part(said), Part(list + "/iqn.c")})
			Expect(missed).NotTo(ContainElement(list))
			Expect(slices.Contains(missed, file)).To(Equal(counts))
		},
			Entry("the file", ConfigFS+"/"+targetA+"/tpgt_1/enable", false),
			Entry("another one of the object", ConfigFS+"/"+targetA+"/tpgt_1/lun/lun_0", false),
			Entry("what is above", ConfigFS+"/target", false),
			Entry("everything", string(Everything), false),
			Entry("all of configfs", string(AllOfConfigFS), false),
			Entry("another object", ConfigFS+"/"+targetB+"/tpgt_1/enable", true),
		)
	})
})
