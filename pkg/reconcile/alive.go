package reconcile

import "time"

// Supervisor restarts the agent if its loop hangs. Its methods are called by the goroutine of
// [Loop.Run] only: what another goroutine reports says nothing about the loop.
type Supervisor interface {
	// Every is the longest time between two calls of Alive; 0: nobody waits for them.
	Every() time.Duration
	// Alive is called between the stages of a pass, while the loop waits for an event, and while a stage
	// waits for a command of the machine, which may take minutes and has a time limit of its own. Copies
	// are not waited for.
	Alive()
	// Reloading is called when Hangup makes the loop read everything again.
	Reloading()
	// Passed is called after a pass whose result was published.
	Passed()
}

// unsupervised is the supervisor of a loop that has none.
type unsupervised struct{}

func (unsupervised) Every() time.Duration { return 0 }
func (unsupervised) Alive()               {}
func (unsupervised) Reloading()           {}
func (unsupervised) Passed()              {}

func (l *Loop) supervisor() Supervisor {
	if l.Supervisor == nil {
		return unsupervised{}
	}
	return l.Supervisor
}

// heartbeat returns a channel that receives when Alive is due, and what ends it.
func (l *Loop) heartbeat() (due <-chan time.Time, stop func()) {
	every := l.supervisor().Every()
	if every <= 0 {
		return nil, func() {}
	}
	ticker := time.NewTicker(every)
	return ticker.C, ticker.Stop
}

// stage runs a stage of a pass that waits for the machine. The loop is alive before and after it, and
// meanwhile if a command runs. Without one the stage has to end soon, or it hangs.
func stage[T any](l *Loop, run func() T) T {
	due, stop := l.heartbeat()
	defer stop()
	if due == nil {
		return run()
	}
	l.Supervisor.Alive()
	done := make(chan T, 1)
	go func() { done <- run() }()
	for {
		select {
		case result := <-done:
			l.Supervisor.Alive()
			return result
		case <-due:
			if l.Commands != nil && l.Commands() > 0 {
				l.Supervisor.Alive()
			}
		}
	}
}
