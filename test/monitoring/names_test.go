package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/metrics"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

const dashboard = "deploy/grafana/volreconciler.json"

var (
	metricName = regexp.MustCompile(`\bvolreconciler_[a-z0-9_]+`)
	camel      = regexp.MustCompile(`[A-Z][a-z]+`)
	reasonIn   = regexp.MustCompile(`reason!?=~?"([^"]*)"`)
	labelIn    = regexp.MustCompile(`\$labels\.([a-z]+)`)
)

// series returns the names of all series: of a histogram there are several.
func series() []string {
	var names []string
	for _, m := range metrics.Metrics() {
		if m.Type == metrics.Histogram {
			names = append(names, m.Name+"_bucket", m.Name+"_sum", m.Name+"_count")
			continue
		}
		names = append(names, m.Name)
	}
	return names
}

// runbookOf is the page of an alert: of VolreconcilerPoolFullSoon it is pool-full-soon.
func runbookOf(alert string) string {
	words := camel.FindAllString(strings.TrimPrefix(alert, "Volreconciler"), -1)
	return strings.ToLower(strings.Join(words, "-"))
}

var _ = Describe("Rules, dashboard and documents", func() {
	for _, file := range []string{rules, "deploy/prometheus/rules_test.yaml", dashboard} {
		It("name only metrics that exist in "+file, func() {
			found := metricName.FindAllString(read(file), -1)
			Expect(found).NotTo(BeEmpty())
			for _, name := range found {
				Expect(series()).To(ContainElement(name))
			}
		})
	}
	It("name only metrics that exist in any document", func() {
		exist := series()
		for _, m := range metrics.Metrics() {
			exist = append(exist, m.Name)
		}
		for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "changes/*.md", "deploy/*/*.md"} {
			files, err := filepath.Glob(filepath.Join(root, pattern))
			Expect(err).NotTo(HaveOccurred())
			for _, file := range files {
				text, err := os.ReadFile(file)
				Expect(err).NotTo(HaveOccurred())
				for _, name := range metricName.FindAllString(string(text), -1) {
					Expect(exist).To(ContainElement(name), file)
				}
			}
		}
	})
	It("show every metric on the dashboard", func() {
		shown := metricName.FindAllString(read(dashboard), -1)
		for _, m := range metrics.Metrics() {
			Expect(shown).To(ContainElement(HavePrefix(m.Name)), m.Name)
		}
	})
	It("list every metric with its labels, and no others, in docs/monitoring.md", func() {
		listed := map[string]string{}
		for _, row := range regexp.MustCompile("(?m)^\\| `(volreconciler_\\w+)` \\|([^|]*)\\|").FindAllStringSubmatch(read("docs/monitoring.md"), -1) {
			Expect(listed).NotTo(HaveKey(row[1]))
			listed[row[1]] = strings.NewReplacer("`", "", " ", "").Replace(row[2])
		}
		exist := map[string]string{}
		for _, m := range metrics.Metrics() {
			exist[m.Name] = strings.Join(m.Labels, ",")
		}
		Expect(listed).To(Equal(exist))
	})
	It("name only reasons that exist", func() {
		source := read("pkg/reconcile/status/object.go")
		for _, a := range alerts() {
			for _, match := range reasonIn.FindAllStringSubmatch(a.Expr, -1) {
				for reason := range strings.SplitSeq(match[1], "|") {
					Expect(source).To(ContainSubstring(`"` + reason + `"`))
				}
			}
		}
		Expect(alerts()).To(ContainElement(HaveField("Expr", ContainSubstring(status.ReasonVanished))))
	})
	It("have a runbook for each alert, and an alert for each runbook", func() {
		pages, err := filepath.Glob(filepath.Join(root, "docs/runbooks/*.md"))
		Expect(err).NotTo(HaveOccurred())
		var named []string
		for _, a := range alerts() {
			page := runbookOf(a.Alert) + ".md"
			named = append(named, page)
			Expect(a.Annotations["runbook_url"]).To(Equal("https://github.com/volreconciler/volreconciler/blob/main/docs/runbooks/" + page))
			Expect(read("docs/runbooks/README.md")).To(MatchRegexp("`" + a.Alert + "` .*\\(" + regexp.QuoteMeta(page) + `\)`))
			for _, heading := range []string{"## What happened", "## Is data at risk?", "## First look", "## Remedy"} {
				Expect(read("docs/runbooks/"+page)).To(ContainSubstring("\n"+heading+"\n"), page)
			}
			Expect(a.Labels["severity"]).To(BeElementOf("warning", "critical"), a.Alert)
			Expect(a.Annotations).To(And(HaveKey("summary"), HaveKey("description")), a.Alert)
		}
		for _, p := range pages {
			if name := filepath.Base(p); name != "README.md" {
				Expect(named).To(ContainElement(name))
			}
		}
	})
	It("have, for each alert, a test in which it is raised and one in which it is not", func() {
		var file struct {
			Tests []struct {
				Rules []struct {
					Name   string `yaml:"alertname"`
					Raised []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		Expect(yaml.Unmarshal([]byte(read("deploy/prometheus/rules_test.yaml")), &file)).To(Succeed())
		raised, quiet := map[string]bool{}, map[string]bool{}
		for _, t := range file.Tests {
			for _, r := range t.Rules {
				raised[r.Name] = raised[r.Name] || len(r.Raised) > 0
				quiet[r.Name] = quiet[r.Name] || len(r.Raised) == 0
			}
		}
		for _, a := range alerts() {
			Expect(raised[a.Alert] && quiet[a.Alert]).To(BeTrue(), a.Alert)
		}
	})
	It("use only labels that the metrics of an alert have", func() {
		for _, a := range alerts() {
			labels := []string{"instance", "job"}
			for _, name := range metricName.FindAllString(a.Expr, -1) {
				for _, m := range metrics.Metrics() {
					if m.Name == name {
						labels = append(labels, m.Labels...)
					}
				}
			}
			for _, match := range labelIn.FindAllStringSubmatch(a.Annotations["summary"]+a.Annotations["description"], -1) {
				Expect(labels).To(ContainElement(match[1]), a.Alert)
			}
		}
	})
	It("have a dashboard that is as test/grafana makes it", func(ctx SpecContext) {
		cmd := exec.CommandContext(ctx, "go", "run", "./test/grafana")
		cmd.Dir, cmd.Stderr = root, os.Stderr
		made, err := cmd.Output()
		Expect(err).NotTo(HaveOccurred())
		Expect(read(dashboard)).To(Equal(string(made)), "run: go run ./test/grafana > "+dashboard)
	}, SpecTimeout(4*limit))
})

// expressions are the queries of the dashboard, as they are with all nodes selected.
func expressions() []string {
	GinkgoHelper()
	var d struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	Expect(json.Unmarshal([]byte(read(dashboard)), &d)).To(Succeed())
	var all []string
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			all = append(all, strings.NewReplacer("$instance", ".*", "$__rate_interval", "5m").Replace(t.Expr))
		}
	}
	Expect(slices.Compact(all)).NotTo(BeEmpty())
	return all
}
