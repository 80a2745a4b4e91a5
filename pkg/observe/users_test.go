package observe

import (
	"fmt"
	"io/fs"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// shelves is a machine with directories, whose lists are counted.
type shelves struct {
	linked
	lists map[string]int
}

// shelf is a directory.
type shelf struct {
	fs.DirEntry
	name string
}

func (s shelf) Name() string { return s.name }
func (s shelf) IsDir() bool  { return true }

func (s *shelves) ReadDir(path string) ([]fs.DirEntry, error) {
	s.lists[path]++
	var entries []fs.DirEntry
	for _, name := range s.dirs[path] {
		entries = append(entries, shelf{name: name})
	}
	return entries, nil
}

var _ = Describe("who uses a device that is about to be exported", func() {
	const hba = "iblock_7"
	var m *shelves
	var users *Users
	device := func(n int) string { return fmt.Sprintf("dm-%d", n) }
	// bind puts a backstore of somebody else on a device.
	bind := func(n int) {
		name := fmt.Sprintf("theirs%d", n)
		m.dirs[HBADir(hba)] = append(m.dirs[HBADir(hba)], name)
		m.files[BackstoreDir(hba, name)+"/info"] = "        iBlock device: " + device(n) + "  UDEV PATH: /dev/vg0/db\n"
	}
	release := func(n int) {
		m.dirs[HBADir(hba)] = slices.DeleteFunc(m.dirs[HBADir(hba)], func(name string) bool { return name == fmt.Sprintf("theirs%d", n) })
	}
	ask := func(n int) []string { return users.Of(device(n), "") }
	there := func(backstores int) {
		m = &shelves{lists: map[string]int{}, linked: linked{recording: recording{files: map[string]string{}, dirs: map[string][]string{BackstoresDir: {hba}}}}}
		users = NewUsers(m)
		for n := range backstores {
			bind(n)
		}
		for n := range backstores + 10 {
			m.files["/sys/class/block/"+device(n)+"/dev"] = fmt.Sprintf("253:%d\n", n)
		}
	}

	It("is looked for in each case where there are few targets", func() {
		there(10)
		Expect(ask(3)).To(ConsistOf("bound to backstore iblock_7/theirs3"))
		Expect(ask(11)).To(BeEmpty())
		bind(11)
		Expect(ask(11)).To(ConsistOf("bound to backstore iblock_7/theirs11"))
	})

	It("is looked for once for many devices where there are many targets", func() {
		there(manyTargets)
		for n := range 10 {
			Expect(ask(manyTargets + n)).To(BeEmpty())
		}
		Expect(m.lists[HBADir(hba)]).To(BeNumerically("<", 10))
		Expect(ask(3)).To(ConsistOf("bound to backstore iblock_7/theirs3"))
	})

	It("is looked for again before anybody is said to, and after a moment", func() {
		there(manyTargets + 1)
		Expect(ask(3)).NotTo(BeEmpty())
		release(3)
		Expect(ask(3)).To(BeEmpty())

		bind(manyTargets + 1)
		users.readAt = users.readAt.Add(-listHolds)
		Expect(ask(manyTargets + 1)).To(ConsistOf("bound to backstore iblock_7/theirs1001"))
	})
})
