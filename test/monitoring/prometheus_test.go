package monitoring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/tgtd"
)

// start starts a program that ends with the spec, or when end is called.
func start(name string, argv ...string) (end func()) {
	GinkgoHelper()
	cmd := exec.Command(name, argv...) //nolint:gosec // of the specs
	log := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = log, log
	Expect(cmd.Start()).To(Succeed())
	end = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	DeferCleanup(func() {
		end()
		AddReportEntry(filepath.Base(name)+"'s log", log.String(), ReportEntryVisibilityFailureOrVerbose)
	})
	return end
}

// get returns what a URL answers with.
func get(ctx context.Context, from string) (int, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return 0, err.Error()
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

// agent starts an agent on a fake node, and returns its TCP address once all is as declared.
func agent(ctx context.Context) (address string, end func()) {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	binary := filepath.Join(dir, "volreconciler")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, root+"/cmd/volreconciler").CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	for from, to := range map[string]string{"examples/nodes/node1.yaml": "node.yaml", "examples/specs/2-export.yaml": "specs/2-export.yaml"} {
		Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, to)), 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, to), []byte(read(from)), 0o600)).To(Succeed())
	}
	address = tgtd.FreePort().String()
	end = start(binary, "run", "--backend", "fake", "--node", filepath.Join(dir, "node.yaml"), "--specs", filepath.Join(dir, "specs"),
		"--runtime-dir", filepath.Join(dir, "run"), "--listen", address, "--resync", "1s")
	Eventually(ctx, func() string {
		_, text := get(ctx, "http://"+address+"/metrics")
		return text
	}).Should(ContainSubstring(`volreconciler_objects{kind="Export",phase="Ready",reason="AsDesired"} 1`))
	return address, end
}

// promtool runs promtool, which must be content.
func promtool(ctx context.Context, stdin string, argv ...string) string {
	GinkgoHelper()
	cmd := exec.CommandContext(ctx, program("promtool"), argv...)
	cmd.Dir, cmd.Stdin = root, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return string(out)
}

var _ = Describe("Prometheus", func() {
	It("accepts the rules and the example of a configuration", func(ctx SpecContext) {
		promtool(ctx, "", "check", "rules", rules)
		promtool(ctx, "", "check", "config", "deploy/prometheus/prometheus.yaml")
	}, SpecTimeout(limit))
	It("raises each alert when it should, and not before", func(ctx SpecContext) {
		promtool(ctx, "", "test", "rules", "deploy/prometheus/rules_test.yaml")
	}, SpecTimeout(limit))
	It("has nothing to say against the metrics of a running agent", func(ctx SpecContext) {
		program("promtool")
		target, _ := agent(ctx)
		_, text := get(ctx, "http://"+target+"/metrics")
		Expect(promtool(ctx, text, "check", "metrics")).To(BeEmpty())
	}, SpecTimeout(4*limit))

	It("scrapes a running agent, and evaluates the rules and the queries of the dashboard", func(ctx SpecContext) {
		server := program("prometheus")
		address, dir := tgtd.FreePort().String(), GinkgoT().TempDir()
		target, _ := agent(ctx)
		config := strings.NewReplacer("node1.example.org:9842", target, "30s", "1s").Replace(read("deploy/prometheus/prometheus.yaml"))
		Expect(os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte("global: {evaluation_interval: 1s}\n"+config), 0o600)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(read(rules)), 0o600)).To(Succeed())
		start(server, "--config.file", filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path", filepath.Join(dir, "data"),
			"--web.listen-address", address)

		type sample struct {
			Metric map[string]string
			Value  [2]any
		}
		query := func(expr string) []sample {
			GinkgoHelper()
			code, text := get(ctx, "http://"+address+"/api/v1/query?query="+url.QueryEscape(expr))
			Expect(code).To(Equal(http.StatusOK), "%s: %s", expr, text)
			var answer struct{ Data struct{ Result []sample } }
			Expect(json.Unmarshal([]byte(text), &answer)).To(Succeed(), text)
			return answer.Data.Result
		}
		Eventually(ctx, func() int {
			code, _ := get(ctx, "http://"+address+"/-/ready")
			return code
		}).Should(Equal(http.StatusOK))
		Eventually(ctx, func(g Gomega) {
			g.Expect(query("volreconciler_objects")).To(ContainElement(And(
				HaveField("Metric", Equal(map[string]string{
					"__name__": "volreconciler_objects", "job": "volreconciler", "instance": target,
					"kind": "Export", "phase": "Ready", "reason": "AsDesired",
				})),
				HaveField("Value", ContainElement("1")),
			)))
		}).Should(Succeed())

		By("looking at the rules")
		Eventually(ctx, func(g Gomega) {
			var answer struct {
				Data struct {
					Groups []struct {
						Rules []struct{ Name, Health, LastError, State string }
					}
				}
			}
			_, text := get(ctx, "http://"+address+"/api/v1/rules")
			g.Expect(json.Unmarshal([]byte(text), &answer)).To(Succeed(), text)
			var evaluated []string
			for _, group := range answer.Data.Groups {
				for _, r := range group.Rules {
					g.Expect(r.Health).To(Equal("ok"), "%s: %s", r.Name, r.LastError)
					g.Expect(r.State).To(Equal("inactive"), "%s of a node on which all is well", r.Name)
					evaluated = append(evaluated, r.Name)
				}
			}
			g.Expect(evaluated).To(HaveLen(len(alerts())))
		}).WithPolling(200 * time.Millisecond).Should(Succeed())

		By("asking what the dashboard asks")
		for _, expr := range expressions() {
			query(expr)
		}
		Expect(query(`volreconciler_pool_free_bytes / volreconciler_pool_size_bytes`)).NotTo(BeEmpty())
	}, SpecTimeout(4*limit))

	It("tells Alertmanager of an agent that has ended, and where its runbook is", func(ctx SpecContext) {
		server, alertmanager := program("prometheus"), program("prometheus-alertmanager")
		address, receiver, dir := tgtd.FreePort().String(), tgtd.FreePort().String(), GinkgoT().TempDir()
		target, end := agent(ctx)
		put := func(name, text string) string {
			GinkgoHelper()
			path := filepath.Join(dir, name)
			Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
			return path
		}
		start(alertmanager, "--config.file", put("alertmanager.yaml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"),
			"--storage.path", filepath.Join(dir, "alerts"), "--web.listen-address", receiver, "--cluster.listen-address", "")
		put("rules.yaml", strings.ReplaceAll(read(rules), "for: 5m", "for: 1s")) // nobody waits that long here
		start(server, "--config.file", put("prometheus.yaml", "global: {evaluation_interval: 1s}\n"+
			strings.NewReplacer("node1.example.org:9842", target, "30s", "1s").Replace(read("deploy/prometheus/prometheus.yaml"))+
			fmt.Sprintf("alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}\n", receiver)),
			"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
		Eventually(ctx, func() string {
			_, text := get(ctx, "http://"+address+"/api/v1/query?query=up")
			return text
		}).WithPolling(200 * time.Millisecond).Should(ContainSubstring(`,"1"]`))
		Eventually(ctx, func() string {
			_, text := get(ctx, "http://"+receiver+"/api/v2/alerts")
			return text
		}).Should(MatchJSON("[]"), "of an agent that runs")

		end()
		type raised struct{ Labels, Annotations map[string]string }
		Eventually(ctx, func() (all []raised) {
			_, text := get(ctx, "http://"+receiver+"/api/v2/alerts")
			_ = json.Unmarshal([]byte(text), &all)
			return all
		}).WithPolling(200 * time.Millisecond).Should(ConsistOf(And(
			HaveField("Labels", Equal(map[string]string{
				"alertname": "VolreconcilerAgentNotRunning", "instance": target, "job": "volreconciler", "severity": "warning",
			})),
			HaveField("Annotations", HaveKeyWithValue("runbook_url", HaveSuffix("/docs/runbooks/agent-not-running.md"))),
		)))
	}, SpecTimeout(4*limit))
})
