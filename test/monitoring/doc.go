// Package monitoring checks what is in deploy for Prometheus and Grafana: that the metrics which rules, dashboard
// and documents name exist, that each alert has a runbook, and that a real Prometheus reads a running agent.
//
// It has specs only. Start reading at names_test.go.
package monitoring
