package spec

import (
	"testing"
	"time"

	"github.com/go-logr/logr"
)

func TestPollingIsRareWhereTheKernelReportsEveryChange(t *testing.T) {
	w := newWatcher(logr.Discard())
	defer w.close()
	dir := t.TempDir()
	w.follow(points{dir: nil})
	if got := w.pollAfter(time.Second); got != rarePolls*time.Second {
		t.Errorf("a directory of %s is polled every %s", dir, got)
	}
	w.follow(points{dir: nil, "/proc/sys": nil}) // its files change without a write
	if got := w.pollAfter(time.Second); got != time.Second {
		t.Errorf("with one of which the kernel does not report every change, files are polled every %s", got)
	}
	w.follow(points{dir: nil})
	if got := w.pollAfter(time.Second); got != rarePolls*time.Second {
		t.Errorf("after it is no longer followed, files are polled every %s", got)
	}
	w.lose()
	if got := w.pollAfter(time.Second); got != time.Second {
		t.Errorf("without inotify files are polled every %s", got)
	}
}
