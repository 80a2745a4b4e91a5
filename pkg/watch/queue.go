package watch

import "sync"

// queueLimit is how many events wait at most before they are replaced by one of each source.
const queueLimit = 10_000

// queue keeps events until they are taken, each once.
type queue struct {
	mu      sync.Mutex
	waiting []Event
	known   map[eventKey]bool
	filled  signal
}

// eventKey tells events apart: more of the same say nothing new.
type eventKey struct {
	source Source
	path   string
	pid    int
}

func newQueue() *queue {
	return &queue{known: map[eventKey]bool{}, filled: newSignal()}
}

func (q *queue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= queueLimit {
		sources := map[Source]bool{e.Source: true}
		for _, other := range q.waiting {
			sources[other.Source] = true
		}
		q.waiting, q.known = nil, map[eventKey]bool{}
		for source := range sources {
			q.add(Event{Source: source})
		}
		return
	}
	q.add(e)
}

func (q *queue) add(e Event) {
	key := eventKey{source: e.Source, path: e.Path}
	if e.By != nil {
		key.pid = e.By.PID
	}
	if q.known[key] {
		return
	}
	q.known[key] = true
	q.waiting = append(q.waiting, e)
	q.filled.raise()
}

func (q *queue) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting, q.known = nil, map[eventKey]bool{}
	return taken
}
