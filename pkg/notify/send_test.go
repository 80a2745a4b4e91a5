package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"go.uber.org/goleak"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// patience is how long anything here may take.
const patience = 20 * time.Second

// publish makes the board show Volumes v1, v2… in phases.
func publish(b *status.Board, phases ...status.Phase) {
	var objects []status.Object
	for i, phase := range phases {
		reason := map[status.Phase]string{status.Ready: "AsDesired", status.Failed: "NoSpace", status.Blocked: "Vanished"}[phase]
		objects = append(objects, status.Object{Kind: spec.KindVolume, Name: fmt.Sprintf("v%d", i+1), Phase: phase, Reason: reason, Message: "full: 97%"})
	}
	b.Publish(objects, nil, status.PassCost{}, time.Now())
}

// TestMain checks that the tests leave nothing running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running runs the notifications until the test ends.
func running(t *testing.T, b *status.Board, log logr.Logger, targets ...Target) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Run(ctx, b, Options{Node: "node7", Targets: targets, Log: log})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(2 * time.Second):
			t.Error("it does not end")
		}
	})
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.text = append(l.text, args)
	}, funcr.Options{})
}

// with returns the lines that contain a text.
func (l *lines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.text {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: " + what)
		}
	}
}

// received is a request to a receiver.
type received struct {
	header http.Header
	body   []byte
}

// receiver is a server that answers with a status, and hands on what it receives.
func receiver(t *testing.T, secure bool, answer func(http.ResponseWriter)) (*httptest.Server, chan received) {
	t.Helper()
	requests := make(chan received, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- received{r.Header, body}
		if answer != nil {
			answer(w)
		}
	}))
	server.Config.ErrorLog = nil
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, requests
}

func next(t *testing.T, requests chan received) (received, Message) {
	t.Helper()
	select {
	case r := <-requests:
		var m Message
		if err := json.Unmarshal(r.body, &m); err != nil {
			t.Fatalf("%s: %v", r.body, err)
		}
		return r, m
	case <-time.After(patience):
		t.Fatal("nothing is received")
	}
	return received{}, Message{}
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAWebhookIsSigned, by TLS, with a certificate that only ca-file vouches for.
func TestAWebhookIsSigned(t *testing.T) {
	const key = "a key of some length"
	server, requests := receiver(t, true, nil)
	ca := file(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	target := Target{Webhook: server.URL + "/hook?token=abc", SecretFile: file(t, "secret", key+"\n"), CAFile: ca, interval: time.Millisecond}
	var board status.Board
	var log lines
	running(t, &board, log.logger(), target)
	publish(&board, status.Failed, status.Ready)
	r, m := next(t, requests)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(r.body)
	if got, want := r.header.Get("X-Volreconciler-Signature-256"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("the signature is %s, not %s", got, want)
	}
	if m.Node != "node7" || len(m.Groups) != 1 || m.Groups[0].Objects[0].Name != "v1" || m.Text != "volreconciler on node7\nFailed (NoSpace): Volume/v1: full: …" {
		t.Errorf("%s", r.body)
	}
	publish(&board, status.Ready, status.Ready)
	if _, m = next(t, requests); m.Text != "volreconciler on node7\nover: Failed (NoSpace): Volume/v1" {
		t.Error(m.Text)
	}
	if found := log.with("abc"); len(found) > 0 {
		t.Error(found)
	}

	err := sendWebhook(t.Context(), Target{Webhook: server.URL + "/hook?token=abc"}, m)
	if err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "hook") {
		t.Errorf("without ca-file: %v", err)
	}
}

// TestARedirectionIsRefused: neither the message nor its signature goes anywhere else.
func TestARedirectionIsRefused(t *testing.T) {
	elsewhere, stolen := receiver(t, false, nil)
	server, _ := receiver(t, false, func(w http.ResponseWriter) {
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	err := sendWebhook(t.Context(), Target{Webhook: server.URL}, Message{})
	if err == nil || !strings.Contains(err.Error(), "redirection (307") {
		t.Error(err)
	}
	if len(stolen) > 0 {
		t.Error("it was followed")
	}
}

// TestWhoIsOutOfReachIsToldLater, by another attempt, and the log has one line about it. The others are
// told at once, also if one does not answer at all.
func TestWhoIsOutOfReachIsToldLater(t *testing.T) {
	hang := make(chan struct{})
	hanging, reached := receiver(t, false, func(http.ResponseWriter) { <-hang })
	t.Cleanup(func() { close(hang) })
	var mu sync.Mutex
	fails := true
	failing, attempts := receiver(t, false, func(w http.ResponseWriter) {
		mu.Lock()
		defer mu.Unlock()
		if fails {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	working, requests := receiver(t, false, nil)
	var board status.Board
	var log lines
	o := Options{Node: "node7", Log: log.logger()}
	running(t, &board, log.logger(), Target{Webhook: hanging.URL}, Target{Webhook: working.URL})
	publish(&board, status.Failed)
	<-reached
	next(t, requests)

	// By hand, because the delays are long.
	r := newNotifier(Target{Webhook: failing.URL}, &board, o)
	attempt := func() {
		events, _, _ := r.feed.next()
		for _, e := range events {
			r.ledger.note(e, time.Now())
		}
		b, due := r.ledger.due(time.Now())
		if !due {
			t.Fatal("nothing is due")
		}
		r.attempt(t.Context(), b, time.Now())
	}
	attempt()
	if until := time.Until(r.retryAt); until < 3*time.Second || until > firstDelay {
		t.Errorf("it is tried again in %s", until)
	}
	attempt()
	mu.Lock()
	fails = false
	mu.Unlock()
	attempt()
	for range 3 {
		if _, m := next(t, attempts); len(m.Groups) != 1 {
			t.Error(m)
		}
	}
	if told, again := log.with("cannot deliver"), log.with("delivered again"); len(told) != 1 || len(again) != 1 || !strings.Contains(told[0], "502") {
		t.Error(told, again)
	}
	if _, due := r.ledger.due(time.Now().Add(time.Hour)); due {
		t.Error("it is told again")
	}
}

func TestDelaysGrowToALimit(t *testing.T) {
	for failures, most := range map[int]time.Duration{1: firstDelay, 2: 2 * firstDelay, 5: 16 * firstDelay, 1000: maxDelay} {
		if d := delay(failures); d > most || d < most*8/10 {
			t.Errorf("%s after %d failures", d, failures)
		}
	}
}

// TestACommandReadsTheMessage on its standard input.
func TestACommandReadsTheMessage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	var board status.Board
	running(t, &board, logr.Discard(), Target{Command: []string{"/bin/sh", "-c", `cat > "$0".new && mv "$0".new "$0"`, out}})
	publish(&board, status.Failed)
	eventually(t, "the command is run", func() bool { _, err := os.Stat(out); return err == nil })
	data, err := os.ReadFile(out)
	var m Message
	if err != nil || json.Unmarshal(data, &m) != nil || m.Kind != "Notification" || m.Groups[0].Reason != "NoSpace" {
		t.Errorf("%s %v", data, err)
	}
}

// TestACommandThatFails is reported, and one that hangs is killed with all that it has started.
func TestACommandThatFails(t *testing.T) {
	run := func(ctx context.Context, script string) error {
		return runCommand(ctx, Target{Command: []string{"/bin/sh", "-c", script}}, Message{})
	}
	if err := run(t.Context(), "echo no line to; echo the pager >&2; exit 3"); err == nil || err.Error() != "exit status 3: the pager" {
		t.Error(err)
	}
	if err := run(t.Context(), "head -c 1000000 /dev/zero >&2; exit 1"); err == nil || len(err.Error()) > 1000 {
		t.Error(err)
	}
	if err := run(t.Context(), "exit 0"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	pid := filepath.Join(t.TempDir(), "pid")
	began := time.Now()
	if err := run(ctx, "sleep 100 & echo $! > "+pid+"; wait"); err == nil || time.Since(began) > patience {
		t.Error(err, time.Since(began))
	}
	child, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "its child is killed", func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(child)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// TestTheLogHasEveryEvent once; the loop logs drifts by itself.
func TestTheLogHasEveryEvent(t *testing.T) {
	var board status.Board
	var log lines
	running(t, &board, log.logger())
	publish(&board, status.Ready, status.Failed)
	publish(&board, status.Ready, status.Ready)
	board.Publish([]status.Object{{
		Kind: spec.KindVolume, Name: "v1", Phase: status.Ready, Reason: "AsDesired", Drift: &status.Drift{Change: "activate", Corrected: 1},
	}}, nil, status.PassCost{}, time.Now())
	eventually(t, "the last event is logged", func() bool { return len(log.with(`"deleted"`)) == 1 })
	if all, first := log.with(""), log.with(`"phase"="Failed"`); len(all) != 3 || len(first) != 1 || !strings.Contains(first[0], `"because"="full: 97%"`) {
		t.Errorf("%q", all)
	}
}

// TestTheLogSaysEverythingOnce: the error of a step is in the step's own line.
func TestTheLogSaysEverythingOnce(t *testing.T) {
	for _, c := range []struct {
		phase           status.Phase
		reason, message string
		said            bool
	}{
		{status.Failed, "NoSpace", "cannot create thick volume vg1/big, 2Ti: not enough free space", false},
		{status.Failed, "CreateVolumeFailed", "cannot create thick volume vg1/big, 2Ti: exit status 5", false},
		{status.Failed, "NoSpace", "thin pool vg0/tp is full", true},
		{status.Failed, "ObservationFailed", "cannot read volume group vg0", true},
		{status.Blocked, "Invalid", "a.yaml:3:5: is missing", false},
		{status.Progressing, "Converging", "create thin volume vg0/db", false},
		{status.Blocked, "Vanished", "its logical volume is missing", true},
	} {
		var log lines
		e := changed(1, c.phase, c.reason, start)
		e.Message = c.message
		logEvent(log.logger(), e)
		if got := len(log.with(c.message)) > 0; got != c.said || len(log.with("")) != 1 {
			t.Errorf("%s, %s: %q", c.reason, c.message, log.text)
		}
	}
}

// TestAPasswordInPlaceOfItsFileIsNotRepeated, nor one in the place of a certificate.
func TestAPasswordInPlaceOfItsFileIsNotRepeated(t *testing.T) {
	const password = "k4w-secret"
	for setting, target := range map[string]Target{
		"secret-file": {Webhook: "https://127.0.0.1:1/hook", SecretFile: "/" + password},
		"ca-file":     {Webhook: "https://127.0.0.1:1/hook", CAFile: "/etc/" + password},
	} {
		for what, err := range map[string]error{"before": target.Problem(), "sending": sendWebhook(t.Context(), target, Message{})} {
			if err == nil || !strings.HasPrefix(err.Error(), setting+": it does not name an existing file: no such file or directory") {
				t.Errorf("%s, %s: %v", setting, what, err)
			} else if strings.Contains(err.Error(), password) {
				t.Errorf("%s, %s: it is repeated: %v", setting, what, err)
			}
		}
	}
}
