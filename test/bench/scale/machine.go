package main

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// machine shows a fake node with one volume as one with n of them, each like the first. What it tells
// it makes up when it is asked, so that it needs no memory beside what is measured.
type machine struct {
	host.Host
	n int
	// lv is the first volume.
	lv observe.LogicalVolume
	// report is LVM's report of the first.
	report string
	// reads is how many files, directories and symlinks were read.
	reads atomic.Int64
	// last is the replacer that was used last: mostly the next one is the same.
	last atomic.Pointer[replacer]
	// answers are those of the fake.
	answers sync.Map
}

type replacer struct {
	of       int
	replacer *strings.Replacer
}

// convergedMachine returns a machine with n volumes, each with an export, as declared.
func convergedMachine(ctx context.Context, n int) (*machine, error) {
	fake, err := converge(ctx, 1)
	if err != nil {
		return nil, err
	}
	m := &machine{Host: fake, n: n}
	s := observe.New(asked{fake.Host, &m.report}).Observe(ctx)
	m.lv = s.VolumeGroups["vg0"].LogicalVolumes[nameOf(0)]
	return m, s.Err()
}

// another turns what the machine reports of the first volume into what it reports of volume i.
func (m *machine) another(i int) *strings.Replacer {
	if last := m.last.Load(); last != nil && last.of == i {
		return last.replacer
	}
	lv := m.lv
	if i > 0 {
		lv.UUID, lv.Minor = fmt.Sprintf("%s%06d", m.lv.UUID[:len(m.lv.UUID)-6], i), m.lv.Minor+i
	}
	field := func(minor int) string { return `"lv_kernel_minor":"` + strconv.Itoa(minor) + `"` }
	r := strings.NewReplacer(nameOf(0), nameOf(i), m.lv.UUID, lv.UUID,
		ondisk.UnitSerial(m.lv.Identity()), ondisk.UnitSerial(lv.Identity()),
		fmt.Sprintf("dm-%d ", m.lv.Minor), fmt.Sprintf("dm-%d ", lv.Minor), field(m.lv.Minor), field(lv.Minor))
	m.last.Store(&replacer{i, r})
	return r
}

var anyName = regexp.MustCompile(`v[0-9]{6}`)

// first returns the path of the first volume that is like a path, and of which volume that is; -1: of
// none.
func (m *machine) first(p string) (string, int) {
	name := anyName.FindString(p)
	if name == "" {
		return p, -1
	}
	i, err := strconv.Atoi(name[1:])
	if err != nil || i >= m.n {
		return p, -1
	}
	return strings.ReplaceAll(p, name, nameOf(0)), i
}

func (m *machine) Run(context.Context, ...string) (host.Output, error) {
	var all strings.Builder
	for line := range strings.Lines(m.report) {
		line = strings.Replace(line, `"lv_count":"2"`, fmt.Sprintf(`"lv_count":"%d"`, m.n+1), 1)
		if !strings.Contains(line, m.lv.UUID) {
			all.WriteString(line)
			continue
		}
		row := strings.TrimRight(line, ",\n")
		for i := 1; i < m.n; i++ {
			all.WriteString(m.another(i).Replace(row) + ",\n")
		}
		all.WriteString(line)
	}
	return host.Output{Stdout: []byte(all.String())}, nil
}

func (m *machine) ReadFile(p string) ([]byte, error) {
	m.reads.Add(1)
	p, i := m.first(p)
	a := m.answer("file "+p, func() (a answer) { a.data, a.err = m.Host.ReadFile(p); return a })
	if a.err != nil {
		return nil, a.err
	}
	return []byte(m.another(max(i, 0)).Replace(string(a.data))), nil
}

func (m *machine) Readlink(p string) (string, error) {
	m.reads.Add(1)
	p, i := m.first(p)
	a := m.answer("link "+p, func() (a answer) { a.link, a.err = m.Host.Readlink(p); return a })
	return m.another(max(i, 0)).Replace(a.link), a.err
}

// ReadDir lists what is in a directory, and what is in one that lists objects for every volume.
func (m *machine) ReadDir(p string) ([]fs.DirEntry, error) {
	m.reads.Add(1)
	p, i := m.first(p)
	a := m.answer("dir "+p, func() (a answer) { a.entries, a.err = m.Host.ReadDir(p); return a })
	var all []fs.DirEntry
	for _, e := range a.entries {
		switch {
		case !strings.Contains(e.Name(), nameOf(0)):
			all = append(all, e)
		case i >= 0:
			all = append(all, named{e, strings.ReplaceAll(e.Name(), nameOf(0), nameOf(i))})
		default:
			for i := range m.n {
				all = append(all, named{e, strings.ReplaceAll(e.Name(), nameOf(0), nameOf(i))})
			}
		}
	}
	return all, a.err
}

// answer returns what the fake says, which it looks up slowly, and always says again.
func (m *machine) answer(question string, ask func() answer) answer {
	a, known := m.answers.Load(question)
	if !known {
		a, _ = m.answers.LoadOrStore(question, ask())
	}
	return a.(answer) //nolint:forcetypeassert // there are no others
}

// answer is that to one question.
type answer struct {
	data    []byte
	link    string
	entries []fs.DirEntry
	err     error
}

// named is a directory's entry with another name.
type named struct {
	fs.DirEntry
	name string
}

func (n named) Name() string { return n.name }
