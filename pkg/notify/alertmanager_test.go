package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// startAlertmanager starts Debian's Alertmanager, which tells a webhook about alerts and their ends.
func startAlertmanager(t *testing.T, webhook string) (address string) {
	t.Helper()
	program, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Skip("Alertmanager is not installed (Debian: prometheus-alertmanager)")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	_ = listener.Close()
	config := file(t, "alertmanager.yml", fmt.Sprintf(`
route: {receiver: test, group_by: [alertname, name], group_wait: 10ms, group_interval: 100ms, repeat_interval: 1h}
receivers: [{name: test, webhook_configs: [{url: %q, send_resolved: true}]}]
`, webhook))
	cmd := exec.Command(program, "--config.file="+config, "--storage.path="+t.TempDir(), "--web.listen-address="+address, "--cluster.listen-address=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s", out.String())
		}
	})
	eventually(t, "Alertmanager answers", func() bool {
		response, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil && response.StatusCode == http.StatusOK
	})
	return address
}

// TestAlertmanagerLearnsOfAnAlertAndItsEnd: a real one, which hands both on.
func TestAlertmanagerLearnsOfAnAlertAndItsEnd(t *testing.T) {
	server, requests := receiver(t, false, nil)
	address := startAlertmanager(t, server.URL)
	var board status.Board
	running(t, &board, logr.Discard(), Target{Alertmanager: "http://" + address + "/", interval: time.Millisecond})
	type handed struct {
		Status string
		Alerts []struct {
			Status              string
			Labels, Annotations map[string]string
			EndsAt              time.Time
		}
	}
	http.DefaultClient.CloseIdleConnections()
	hear := func(state, name string) {
		t.Helper()
		r, _ := next(t, requests)
		var h handed
		if err := json.Unmarshal(r.body, &h); err != nil {
			t.Fatal(err)
		}
		if h.Status != state || len(h.Alerts) != 1 {
			t.Fatalf("%s, not that it is %s", r.body, state)
		}
		a := h.Alerts[0]
		want := map[string]string{"alertname": name, "kind": "Volume", "name": "v1", "node": "node7"}
		if fmt.Sprint(a.Labels) != fmt.Sprint(want) || a.Annotations["description"] != "full: …" {
			t.Errorf("%s", r.body)
		}
	}
	publish(&board, status.Failed)
	hear("firing", "NoSpace")
	response, err := http.Get("http://" + address + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	var listed []struct{ EndsAt time.Time }
	err = json.NewDecoder(response.Body).Decode(&listed)
	_ = response.Body.Close()
	if err != nil || len(listed) != 1 || time.Until(listed[0].EndsAt) < 2*alertsAgain {
		t.Errorf("%+v %v: it ends before it is told again", listed, err)
	}
	publish(&board, status.Ready)
	hear("resolved", "NoSpace")
}

// TestAlertsAreToldAgain before they expire, also if nothing happens.
func TestAlertsAreToldAgain(t *testing.T) {
	target := Target{Alertmanager: "http://192.0.2.1", Settle: DefaultSettle}
	l := newNotifier(target, &status.Board{}, Options{}).ledger
	all := play(l, []status.Event{changed(1, status.Failed, "NoSpace", start), changed(1, status.Ready, "AsDesired", start.Add(time.Hour))}, start.Add(2*time.Hour))
	var until time.Time
	for i, m := range all {
		alerts := alertsOf("node7", m.batch, target.Settle, m.at)
		if len(alerts) != 1 {
			t.Fatalf("%d alerts after %s", len(alerts), m.at.Sub(start))
		}
		if i > 0 && until.Sub(m.at) < target.Settle {
			t.Errorf("the alert ends within %s of the next time that it is told", until.Sub(m.at))
		}
		until = alerts[0].EndsAt
	}
	if last := all[len(all)-1].at; len(all) < 15 || !until.Equal(last) || last.Sub(start) > time.Hour+DefaultSettle+alertsAgain {
		t.Errorf("told %d times, and it ends after %s", len(all), until.Sub(start))
	}
}
