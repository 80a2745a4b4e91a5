package safepath

import (
	"io/fs"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// somebody is a user that tests give files to.
const somebody = 4711

var _ = Describe("A directory", func() {
	var top string
	BeforeEach(func() {
		top = GinkgoT().TempDir() // below /tmp as a rule, which anybody can write to
		Expect(os.Chmod(top, 0o755)).To(Succeed())
	})
	mkdir := func(name string, mode fs.FileMode) string {
		GinkgoHelper()
		dir := filepath.Join(top, name)
		Expect(os.MkdirAll(dir, 0o700)).To(Succeed())
		Expect(os.Chmod(dir, mode)).To(Succeed())
		return dir
	}
	give := func(path string) {
		GinkgoHelper()
		if os.Geteuid() != 0 {
			Skip("only root can give files away")
		}
		Expect(os.Lchown(path, somebody, somebody)).To(Succeed())
	}

	It("is made for its owner alone, with what is above it", func() {
		dir := filepath.Join(top, "a", "b")
		Expect(CheckDir(dir)).To(MatchError(fs.ErrNotExist))
		Expect(MakeDir(dir)).To(Succeed())
		Expect(MakeDir(dir)).To(Succeed(), "also a second time")
		Expect(CheckDir(dir)).To(Succeed())
		for _, made := range []string{dir, filepath.Dir(dir)} {
			st, err := os.Stat(made)
			Expect(err).NotTo(HaveOccurred())
			Expect(st.Mode().Perm()).To(BeEquivalentTo(0o700))
		}
	})

	It("may be read by others, and lie in one like /tmp", func() {
		mkdir("tmp", 0o777|fs.ModeSticky)
		Expect(CheckDir(mkdir("tmp/run", 0o755))).To(Succeed())
	})

	DescribeTable("is not one that others can write to", func(mode fs.FileMode, why string) {
		if os.Geteuid() != 0 && mode&0o002 == 0 {
			Skip("an ordinary user has a group alone")
		}
		dir := mkdir("open", mode)
		Expect(MakeDir(dir)).To(MatchError(And(HavePrefix("%s is writable by %s", dir, why), ContainSubstring("chmod go-w "+dir))))
		Expect(MakeDir(filepath.Join(dir, "below"))).To(MatchError(And(HavePrefix(dir), ContainSubstring("a parent of "+dir+"/below"))))
		Expect(filepath.Join(dir, "below")).NotTo(BeADirectory(), "what is wrong is found before anything is made")
	},
		Entry("all", fs.FileMode(0o777), "anybody"),
		Entry("others", fs.FileMode(0o707), "anybody"),
		Entry("a group", fs.FileMode(0o770), "its group"),
		Entry("a group that new files get", 0o775|fs.ModeSetgid, "its group"),
	)

	It("may be one like /tmp, or the root of a tmpfs, whose files are looked at one by one", func() {
		Expect(MakeDir(mkdir("tmp", 0o777|fs.ModeSticky))).To(Succeed())
	})

	It("is not one of another user, nor below one", func() {
		dir := mkdir("theirs", 0o755)
		give(dir)
		Expect(MakeDir(dir)).To(MatchError(And(HavePrefix(dir+" belongs to uid 4711, who can replace its files;"), ContainSubstring("chown 0 "+dir))))
		Expect(MakeDir(filepath.Join(dir, "run"))).To(MatchError(ContainSubstring("a parent of " + dir + "/run")))
	})

	It("is not one that another user made first in one like /tmp", func() {
		mkdir("tmp", 0o777|fs.ModeSticky)
		dir := mkdir("tmp/run", 0o755)
		give(dir)
		Expect(MakeDir(dir)).To(MatchError(ContainSubstring("belongs to uid 4711")))
	})

	It("may be behind a symbolic link of root, as /var/run is", func() {
		dir := mkdir("real/run", 0o755)
		link := filepath.Join(top, "link")
		for _, to := range []string{filepath.Join(top, "real"), "real", "./real/../real/."} {
			Expect(os.RemoveAll(link)).To(Succeed())
			Expect(os.Symlink(to, link)).To(Succeed())
			Expect(MakeDir(filepath.Join(link, "run"))).To(Succeed(), to)
		}
		Expect(os.Chmod(dir, 0o777)).To(Succeed())
		Expect(MakeDir(filepath.Join(link, "run"))).To(MatchError(HavePrefix(dir + " is writable by anybody")))
	})

	It("is not behind a symbolic link of another user", func() {
		mkdir("real/run", 0o755)
		link := filepath.Join(top, "link")
		Expect(os.Symlink("real", link)).To(Succeed())
		give(link)
		for _, dir := range []string{link, filepath.Join(link, "run")} {
			Expect(MakeDir(dir)).To(MatchError(HavePrefix(link + " is a symbolic link of uid 4711, who can redirect the agent")))
		}
	})

	It("is not behind a symbolic link that leads through what others can write to", func() {
		mkdir("open", 0o777)
		Expect(os.Symlink("../run", mkdir("open/x", 0o755)+"/link")).To(Succeed())
		Expect(os.Symlink("open/x/link", filepath.Join(top, "link"))).To(Succeed())
		Expect(MakeDir(filepath.Join(top, "link"))).To(MatchError(HavePrefix(top + "/open is writable by anybody")))
	})

	It("is not a link without an end, nor something else", func() {
		link := filepath.Join(top, "link")
		Expect(os.Symlink("link", link)).To(Succeed())
		Expect(MakeDir(link)).To(MatchError(unix.ELOOP))
		file := filepath.Join(top, "file")
		Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
		Expect(MakeDir(file)).To(MatchError(HavePrefix(file + " is a regular file, not a directory")))
		Expect(MakeDir(file + "/run")).To(MatchError(HavePrefix(file + " is a regular file, not a directory, a parent of")))
	})
})

var _ = Describe("A file of the agent", func() {
	var dir, path string
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		path = filepath.Join(dir, "lock")
	})
	open := func() error {
		f, err := OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err == nil {
			Expect(f.Close()).To(Succeed())
		}
		return err
	}

	It("is made, and opened again", func() {
		Expect(CheckFile(path)).To(Succeed())
		Expect(open()).To(Succeed())
		Expect(open()).To(Succeed())
	})

	DescribeTable("is not", func(prepare func() error, why string) {
		Expect(prepare()).To(Succeed())
		Expect(open()).To(MatchError(HavePrefix(path + why)))
		Expect(CheckFile(path)).To(MatchError(HavePrefix(path + why)))
	},
		Entry("a symbolic link to nothing", func() error { return os.Symlink("elsewhere", path) }, " is a symbolic link, not a regular file; remove it"),
		Entry("a symbolic link to a file", func() error { return os.Symlink("/etc/passwd", path) }, " is a symbolic link"),
		Entry("a FIFO", func() error { return unix.Mkfifo(path, 0o600) }, " is a FIFO"),
		Entry("a directory", func() error { return os.Mkdir(path, 0o700) }, " is a directory"),
		Entry("a file with another name", func() error {
			if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o600); err != nil {
				return err
			}
			return os.Link(filepath.Join(dir, "data"), path)
		}, " is a hard link to a file with 2 names"),
		Entry("one that others can write to", func() error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Chmod(path, 0o666)
		}, " is writable by others (mode 0666)"),
	)

	It("is not another user's", func() {
		if os.Geteuid() != 0 {
			Skip("only root can give files away")
		}
		Expect(open()).To(Succeed())
		Expect(os.Chown(path, somebody, somebody)).To(Succeed())
		Expect(open()).To(MatchError(path + " belongs to uid 4711; check it and remove it, or run chown 0 " + path))
	})
})
