package lastgood

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestLastGood(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/lastgood")
}

var _ = Describe("a Store", func() {
	var dir string
	BeforeEach(func() { dir = filepath.Join(GinkgoT().TempDir(), "last-good") })
	open := func() (*Store, map[string][]byte) {
		GinkgoHelper()
		s := New(dir)
		kept, err := s.Kept()
		Expect(err).NotTo(HaveOccurred())
		return s, kept
	}
	content := func() map[string][]byte { _, kept := open(); return kept }

	It("keeps texts for its owner alone", func() {
		s, _ := open()
		Expect(s.Keep(map[string][]byte{"/a": []byte("ä\n"), "/b": []byte("")}, nil)).To(Succeed())
		Expect(content()).To(Equal(map[string][]byte{"/a": []byte("ä\n"), "/b": []byte("")}))
		files, err := os.ReadDir(dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(files).To(HaveLen(2))
		for _, f := range files {
			info, err := f.Info()
			Expect(err).NotTo(HaveOccurred())
			Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
		}
		info, err := os.Stat(dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o700)))
	})
	It("replaces, leaves and removes", func() {
		s, _ := open()
		Expect(s.Keep(map[string][]byte{"/a": []byte("1"), "/b": []byte("1"), "/c": []byte("1"), "/d": []byte("1")}, nil)).To(Succeed())
		s, _ = open()
		Expect(s.Keep(map[string][]byte{"/a": []byte("2"), "/b": nil}, map[string]bool{"/c": true})).To(Succeed())
		Expect(content()).To(Equal(map[string][]byte{"/a": []byte("2"), "/b": []byte("1"), "/c": []byte("1")}))
	})
	It("keeps many in one go", func() {
		s, _ := open()
		texts := map[string][]byte{}
		for i := range 3 * manyFiles {
			texts[fmt.Sprintf("/%d", i)] = []byte("x")
		}
		Expect(s.Keep(texts, nil)).To(Succeed())
		Expect(content()).To(Equal(texts))
	})
	It("keeps no more than there is room for, and nothing older in its place", func() {
		s, _ := open()
		s.maxText = 10
		Expect(s.Keep(map[string][]byte{"/a": []byte("123456")}, nil)).To(Succeed())
		for range 2 {
			Expect(s.Keep(map[string][]byte{"/a": []byte(strings.Repeat("x", 11)), "/b": []byte("1234")}, nil)).To(MatchError(ContainSubstring("files that do not fit: 1, for example /a")))
		}
		Expect(content()).To(Equal(map[string][]byte{"/b": []byte("1234")}))
		Expect(s.Keep(map[string][]byte{"/a": []byte("123456"), "/b": nil}, nil)).To(Succeed())
	})
	It("removes what a crash left, and what it does not understand", func() {
		s, _ := open()
		Expect(s.Keep(map[string][]byte{"/a": []byte("1")}, nil)).To(Succeed())
		for name, text := range map[string]string{"12.tmp": "{", "other": "", nameOf("/later"): `{"version":2,"file":"/later","sha256":"","text":""}`} {
			Expect(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)).To(Succeed())
		}
		s, kept := open()
		Expect(kept).To(Equal(map[string][]byte{"/a": []byte("1")}))
		Expect(s.Keep(map[string][]byte{"/a": nil}, nil)).To(Succeed())
		Expect(os.ReadDir(dir)).To(HaveLen(1))
	})
	It("does not follow links", func() {
		s, _ := open()
		Expect(s.Keep(map[string][]byte{"/a": []byte("1")}, nil)).To(Succeed())
		path := filepath.Join(dir, nameOf("/a"))
		Expect(os.Rename(path, path+"x")).To(Succeed())
		Expect(os.Symlink(path+"x", path)).To(Succeed())
		Expect(content()).To(BeEmpty())
	})
	It("fails where others can write, and changes nothing where it only reads", func() {
		s, _ := open()
		Expect(s.Keep(map[string][]byte{"/a": []byte("1")}, nil)).To(Succeed())
		s = ReadOnly(dir)
		Expect(s.Kept()).To(HaveLen(1))
		Expect(s.Keep(map[string][]byte{"/b": []byte("1")}, nil)).To(Succeed())
		Expect(content()).To(HaveKey("/a"))
		Expect(os.Chmod(dir, 0o777)).To(Succeed())
		s = New(dir)
		_, err := s.Kept()
		Expect(err).To(HaveOccurred())
		Expect(s.Keep(map[string][]byte{"/b": []byte("1")}, nil)).NotTo(Succeed())
	})
})
