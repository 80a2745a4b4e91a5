package service

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// listen is a service manager: it returns the messages that it is sent.
func listen(t *testing.T, watchdog time.Duration) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	if watchdog > 0 {
		t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	}
	return func() string {
		message := make([]byte, 4096)
		if err := socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(message)
		if os.IsTimeout(err) {
			return "" // silence
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}
}

func newManager(t *testing.T) *Manager {
	t.Helper()
	m, err := New(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheFirstPassMakesTheAgentReadyAndLaterOnesOnlyReportNews(t *testing.T) {
	g, message := NewWithT(t), listen(t, 0)
	m := newManager(t)
	m.Passed("1 object: 1 Progressing")
	g.Expect(message()).To(Equal("READY=1\nSTATUS=1 object: 1 Progressing"))
	m.Passed("1 object: 1 Progressing")
	g.Expect(message()).To(BeEmpty())
	m.Passed("1 object: 1 Ready")
	g.Expect(message()).To(Equal("\nSTATUS=1 object: 1 Ready"))
	m.Stopping()
	g.Expect(message()).To(Equal("STOPPING=1"))
}

func TestASignOfLifeAlsoAsksForTimeUntilTheAgentIsReady(t *testing.T) {
	g, message := NewWithT(t), listen(t, 30*time.Second)
	m := newManager(t)
	g.Expect(m.Every()).To(Equal(10 * time.Second))
	m.Alive()
	g.Expect(message()).To(Equal("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000"))
	m.Passed("no objects")
	g.Expect(message()).To(HavePrefix("READY=1"))
	m.Alive()
	g.Expect(message()).To(Equal("WATCHDOG=1"))
}

func TestAReloadEndsWithTheNextPass(t *testing.T) {
	g, message := NewWithT(t), listen(t, 0)
	m := newManager(t)
	m.Passed("no objects")
	message()
	m.Reloading()
	reloading, monotonic, _ := strings.Cut(message(), "\nMONOTONIC_USEC=")
	g.Expect(reloading).To(Equal("RELOADING=1"))
	g.Expect(strconv.Atoi(monotonic)).To(BeNumerically(">", 0))
	m.Passed("no objects")
	g.Expect(message()).To(Equal("READY=1"))
}

func TestWithoutAServiceManagerNothingIsSentAndNobodyWaits(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	m := newManager(t)
	g.Expect(m.Every()).To(BeZero())
	m.Alive()
	m.Passed("no objects")
	m.Reloading()
	m.Stopping()
}

func TestTheWatchdogOfAnotherProcessIsNotOurs(t *testing.T) {
	g, message := NewWithT(t), listen(t, 30*time.Second)
	t.Setenv("WATCHDOG_PID", "1")
	m := newManager(t)
	g.Expect(m.Every()).To(BeZero())
	m.Alive()
	g.Expect(message()).To(BeEmpty())
}

func TestAServiceManagerThatIsGoneIsReportedOnce(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	t.Setenv("WATCHDOG_USEC", "30000000")
	t.Setenv("WATCHDOG_PID", "")
	var failed []error
	m, err := New(func(err error) { failed = append(failed, err) })
	g.Expect(err).NotTo(HaveOccurred())
	m.Alive()
	m.Passed("no objects")
	m.Reloading()
	g.Expect(failed).To(HaveLen(1))
	g.Expect(failed[0]).To(MatchError(os.ErrNotExist))
}

func TestAWatchdogThatIsWronglyConfiguredIsAnError(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("WATCHDOG_USEC", "soon")
	m, err := New(nil)
	g.Expect(err).To(MatchError(ContainSubstring("WATCHDOG_USEC")))
	g.Expect(m.Every()).To(BeZero())
}
