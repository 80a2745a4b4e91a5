package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// alertsAgain is how often Alertmanager receives again what still holds, as from Prometheus.
	alertsAgain = 3 * time.Minute
	// alertsLast is for how long it takes an alert for true besides, so that alerts neither end nor
	// begin anew while the agent is restarted: after a start nothing is reported before it has lasted.
	alertsLast = 3*alertsAgain + time.Minute
	// maxAlerts is how many alerts it receives at once.
	maxAlerts = 1000
)

// alert is one of Alertmanager's API, version 2.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt,omitzero"`
	EndsAt      time.Time         `json:"endsAt"`
}

// alertsOf returns what Alertmanager receives at a time: what holds, the oldest first, and what has ended.
func alertsOf(node string, b batch, settle time.Duration, now time.Time) []alert {
	type key struct {
		name string
		id   spec.ID
	}
	known := map[key]bool{}
	alerts := []alert{}
	add := func(n notice, ends time.Time) {
		k := key{n.name(), n.object}
		if known[k] {
			return // the same labels, for another drift of the object, or again
		}
		known[k] = true
		a := alert{
			Labels: map[string]string{
				"alertname": n.name(), "kind": string(n.object.Kind), "name": n.object.Name, "node": node,
			},
			Annotations: annotations(node, n), EndsAt: ends,
		}
		if n.since.Before(ends) { // otherwise the clock was set back, and Alertmanager would refuse all of them
			a.StartsAt = n.since
		}
		alerts = append(alerts, a)
	}
	for _, n := range oldest(b.active, maxAlerts) {
		add(n, now.Add(alertsLast+settle))
	}
	for _, list := range [][]notice{b.ended, b.replaced} {
		for _, n := range list {
			add(n, now)
		}
	}
	return alerts
}

func annotations(node string, n notice) map[string]string {
	summary := fmt.Sprintf("%s on %s is %s", n.object, node, n.heading())
	if n.kind != status.Changed {
		summary = fmt.Sprintf("%s on %s: %s", n.object, node, n.heading())
	}
	all := map[string]string{"summary": summary}
	if details := n.details(); details != "" {
		all["description"] = details
	}
	return all
}

// oldest returns a number of notices, the oldest first.
func oldest(list []notice, limit int) []notice {
	sorted := slices.SortedStableFunc(slices.Values(list), func(a, b notice) int { return a.since.Compare(b.since) })
	return sorted[:min(len(sorted), limit)]
}

// sendAlerts posts alerts.
func sendAlerts(ctx context.Context, t Target, alerts []alert) error {
	body, err := json.Marshal(alerts)
	if err != nil {
		return err
	}
	return t.post(ctx, strings.TrimRight(t.Alertmanager, "/")+"/api/v2/alerts", http.Header{}, body)
}
