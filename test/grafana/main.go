// Command grafana writes the Grafana dashboard to its standard output:
//
//	go run ./test/grafana > deploy/grafana/volreconciler.json
//
// The dashboard is [rows] as data; build.go makes Grafana's JSON of it. A spec in test/monitoring compares the
// file with what this prints.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot generate the dashboard:", err)
		os.Exit(1)
	}
}

func write() error {
	built, err := build(rows)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(built)
}
