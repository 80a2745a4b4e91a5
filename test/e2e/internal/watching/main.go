// Command watching prints what pkg/watch reports, for specs in a guest: each event and each status
// as a line of JSON. Its arguments are the device nodes of physical volumes.
package main

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/watch"
)

// Line is what is printed.
type Line struct {
	Event  *watch.Event   `json:",omitempty"`
	Status []watch.Status `json:",omitempty"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	w := watch.Start(ctx, watch.Options{Log: logr.Discard(), Retry: time.Second})
	w.PhysicalVolumes(os.Args[1:])
	out := json.NewEncoder(os.Stdout)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	var before []watch.Status
	for {
		select {
		case <-ctx.Done():
			w.Wait()
			return
		case <-w.Changed():
			for _, e := range w.Take() {
				_ = out.Encode(Line{Event: &e})
			}
		case <-look.C:
			if status := w.Status(); !reflect.DeepEqual(status, before) {
				before = status
				_ = out.Encode(Line{Status: status})
			}
		}
	}
}
