package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
)

func TestWatch(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	RunSpecs(t, "watch")
}

// machine is a directory that looks like a machine.
type machine struct {
	configfs, dev string
	watcher       *Watcher
	stop          context.CancelFunc
	marks         int
	waiting       []Event
}

// newMachine makes the directories that there are before anything is watched, and watches. All
// ends with the spec, goroutines too.
func newMachine(directories ...string) *machine {
	GinkgoHelper()
	ignored := goleak.IgnoreCurrent()
	root := GinkgoT().TempDir()
	m := &machine{configfs: filepath.Join(root, "config"), dev: filepath.Join(root, "dev")}
	for _, d := range append(directories, "config", "dev") {
		Expect(os.MkdirAll(filepath.Join(root, d), 0o755)).To(Succeed())
	}
	var ctx context.Context
	ctx, m.stop = context.WithCancel(context.Background())
	m.watcher = Start(ctx, Options{ConfigFS: m.configfs, Dev: m.dev, Retry: 50 * time.Millisecond, Log: logr.Discard()})
	DeferCleanup(func() {
		m.stop()
		m.watcher.Wait()
		Expect(goleak.Find(ignored)).To(Succeed())
	})
	return m
}

func (m *machine) path(below string) string { return filepath.Join(m.configfs, below) }

func (m *machine) mkdir(below string) {
	GinkgoHelper()
	Expect(os.MkdirAll(m.path(below), 0o755)).To(Succeed())
}

// next waits for the next event of a source.
func (m *machine) next(source Source) Event {
	GinkgoHelper()
	timeout := time.After(time.Minute)
	for {
		for len(m.waiting) > 0 {
			e := m.waiting[0]
			m.waiting = m.waiting[1:]
			if e.Source == source {
				return e
			}
		}
		select {
		case <-m.watcher.Changed():
			m.waiting = m.watcher.Take()
		case <-timeout:
			Fail("no event of " + string(source))
		}
	}
}

// expect waits for an event.
func (m *machine) expect(source Source, path string) *Process {
	GinkgoHelper()
	for {
		if e := m.next(source); e.Path == path {
			return e.By
		}
	}
}

// settle takes all events of what was done so far.
func (m *machine) settle() {
	GinkgoHelper()
	m.marks++
	mark := m.path(fmt.Sprintf("target/mark_%d", m.marks))
	Expect(os.Mkdir(mark, 0o755)).To(Succeed())
	m.expect(Configfs, mark)
}

// none expects that what was done since the last event causes none.
func (m *machine) none() {
	GinkgoHelper()
	m.marks++
	mark := m.path(fmt.Sprintf("target/mark_%d", m.marks))
	Expect(os.Mkdir(mark, 0o755)).To(Succeed())
	Expect(m.next(Configfs).Path).To(Equal(mark))
}

func (m *machine) status(source Source) Status {
	for _, s := range m.watcher.Status() {
		if s.Source == source {
			return s
		}
	}
	return Status{}
}
