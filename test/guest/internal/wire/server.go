package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// Runner runs a command to its end, as [Client.Exec] describes it, and kills it
// when ctx ends.
type Runner func(ctx context.Context, command Command) (exitCode int, err error)

// Serve answers the requests of one client, each in a goroutine of its own,
// until the connection ends; then it cancels what still runs and returns once
// all of it is over. A connection that the client closed is no error.
func Serve(ctx context.Context, conn io.ReadWriter, run Runner) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &server{encoder: json.NewEncoder(conn), cancels: map[uint64]context.CancelFunc{}}
	defer s.running.Wait()
	defer cancel()
	if err := s.send(reply{}); err != nil {
		return err
	}
	decoder := json.NewDecoder(acknowledged{conn, func(n int) error { return s.send(reply{Read: n}) }})
	for {
		var r request
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if r.Command == nil {
			s.cancel(r.ID)
			continue
		}
		ctx := s.begin(ctx, r.ID)
		s.running.Go(func() {
			defer s.cancel(r.ID)
			s.serve(ctx, r, run)
		})
	}
}

type server struct {
	running sync.WaitGroup

	write   sync.Mutex
	encoder *json.Encoder

	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc
}

func (s *server) serve(ctx context.Context, r request, run Runner) {
	command := *r.Command
	command.Stdout = output(func(p []byte) error { return s.send(reply{ID: r.ID, Stdout: p}) })
	command.Stderr = output(func(p []byte) error { return s.send(reply{ID: r.ID, Stderr: p}) })
	var e end
	exitCode, err := run(ctx, command)
	if err != nil {
		e.Error = err.Error()
	} else {
		e.ExitCode = exitCode
	}
	// A client that is gone cannot be told; Serve sees the same and ends.
	_ = s.send(reply{ID: r.ID, End: &e})
}

func (s *server) begin(ctx context.Context, id uint64) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancels[id] = cancel
	return ctx
}

func (s *server) cancel(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.cancels[id]; ok {
		cancel()
		delete(s.cancels, id)
	}
}

func (s *server) send(r reply) error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.encoder.Encode(r)
}

type output func([]byte) error

func (o output) Write(p []byte) (int, error) {
	if err := o(p); err != nil {
		return 0, err
	}
	return len(p), nil
}
