package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/dashboard"
	"github.com/volreconciler/volreconciler/pkg/metrics"
	"github.com/volreconciler/volreconciler/pkg/notify"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// answersFrom returns what the agent answers from. Call it before the loop runs.
func answersFrom(loop *reconcile.Loop, files metrics.Files, specs string) statusapi.Source {
	counted := metrics.New(loop.Status, files, buildOf())
	loop.Meter = counted
	var last atomic.Pointer[plan.Plan]
	loop.OnPlan = func(p plan.Plan) { last.Store(&p) }
	node, err := os.Hostname()
	if err != nil {
		node = "this node" // it is only shown
	}
	return statusapi.Source{
		Status:  loop.Status,
		Metrics: counted.Handler(),
		Plan: func() any {
			if p := last.Load(); p != nil {
				return p
			}
			return nil
		},
		Node: func(ctx context.Context) ([]byte, error) {
			data, _, err := captureNode(ctx)
			return data, err
		},
		Pages: dashboard.New(dashboard.Source{
			Status: loop.Status, Plan: last.Load, Node: node, Version: describeBuild(),
		}),
		Identities: loop.Memory.Stored,
		Agent:      func() statusapi.Agent { return statusapi.Agent{Specs: spec.Dirs(specs)} },
	}
}

// notifyFrom logs what becomes of objects and notifies the targets, until the function that it returns is
// called. It returns what prevents that.
func notifyFrom(s *settings, board *status.Board, log logr.Logger) (stop func(), warnings []string) {
	node, err := os.Hostname()
	if err != nil {
		log.Error(err, "cannot read this node's host name; notifications call it localhost")
		node = "localhost"
	}
	warnings = notify.Problems(s.notify)
	for _, w := range warnings {
		log.Info("warning: " + w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { notify.Run(ctx, board, notify.Options{Node: node, Targets: s.notify, Log: log}) })
	return func() { cancel(); running.Wait() }, warnings
}

// serve answers on the socket, and on the TCP address if there is one, until the function that it returns
// is called. The status can be asked for until the last pass has ended.
//
// Volumes and exports are kept in order also if the TCP address cannot be used: then a warning says so.
func serve(s *settings, from statusapi.Source, log logr.Logger) (stop func(), warnings []string, err error) {
	listener, err := statusapi.Listen(s.socket())
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := statusapi.Serve(ctx, listener, from); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			log.Error(err, "the status socket has failed; the commands that query the agent no longer work", "socket", s.socket())
		}
	})
	if s.listen != "" {
		if err := s.serveTCP(ctx, &serving, from, log); err != nil {
			log.Error(err, "nobody is answered over the network")
			warnings = append(warnings, "nobody is answered over the network: "+err.Error())
		}
	}
	return func() { cancel(); serving.Wait() }, warnings, nil
}

func (s *settings) serveTCP(ctx context.Context, serving *sync.WaitGroup, from statusapi.Source, log logr.Logger) error {
	if s.webConfig != "" {
		if err := statusapi.CheckWebConfig(s.webConfig); err != nil {
			return fmt.Errorf("web-config %s cannot be used: %w", s.webConfig, err)
		}
	}
	var d net.ListenConfig
	listener, err := d.Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; free the port or set another address with --listen, and start the agent again", s.listen, err)
	}
	if s.webConfig == "" && !isLoopback(listener.Addr()) {
		log.Info(fmt.Sprintf("warning: everybody who reaches %s can read this node's state: the names of volumes, targets, initiators and hosts; set web-config to a file with TLS and users, or listen on 127.0.0.1", listener.Addr()))
	}
	serving.Go(func() {
		if err := statusapi.ServeTCP(ctx, listener, s.webConfig, from, log); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			log.Error(err, "the agent no longer answers over the network", "listen", s.listen)
		}
	})
	return nil
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(address net.Addr) bool {
	tcp, is := address.(*net.TCPAddr)
	return is && tcp.IP.IsLoopback()
}
