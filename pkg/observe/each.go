package observe

import "sync"

// readers is how many objects are read at once. Most of the time is that of short system calls: measured in a guest with
// one processor, 2 or more need a quarter to a third less of it.
const readers = 4

// readEach reads objects by their names, several at once, and returns those that it found. If any cannot be read there
// is an error, that of the first of them in the order of the names.
func readEach[T any](names []string, read func(name string) (T, bool, error)) (map[string]T, error) {
	type outcome struct {
		value T
		found bool
		err   error
	}
	outcomes := make([]outcome, len(names))
	var all sync.WaitGroup
	for first := range min(readers, len(names)) {
		all.Go(func() {
			for i := first; i < len(names); i += readers {
				o := &outcomes[i]
				o.value, o.found, o.err = read(names[i])
			}
		})
	}
	all.Wait()
	values := make(map[string]T, len(names))
	for i, o := range outcomes {
		switch {
		case o.err != nil:
			return nil, o.err
		case o.found:
			values[names[i]] = o.value
		}
	}
	return values, nil
}
