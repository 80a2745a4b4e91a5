package soak_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/volreconciler/volreconciler/test/soak"
)

// number is an environment variable's.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestSoak runs histories of SOAK_ROUNDS rounds in all. The first has SOAK_SEED,
// the next ones the numbers that follow.
func TestSoak(t *testing.T) {
	const perHistory = 100
	seed := number(t, "SOAK_SEED", uint64(time.Now().UnixNano())%1_000_000)
	rounds := int(number(t, "SOAK_ROUNDS", 25))
	t.Logf("SOAK_SEED=%d", seed)
	began := time.Now()
	total := soak.History{Seed: seed}
	goroutines := []int{runtime.NumGoroutine()}
	for ; rounds > 0; rounds -= perHistory {
		synctest.Test(t, func(t *testing.T) {
			goroutines = append(goroutines, history(t, seed, min(rounds, perHistory), &total)...)
		})
		if t.Failed() {
			break
		}
		seed++
	}
	fmt.Printf("soak seed=%d minutes=%.1f rounds=%d actions=%d kills=%d lost=%d leaked=%d goroutines=%d→%d\n",
		total.Seed, time.Since(began).Minutes(), total.Rounds, total.Actions, total.Kills, total.Lost, total.Leaked, goroutines[0], goroutines[len(goroutines)-1])
}

// history returns how many goroutines there were after each round.
func history(t *testing.T, seed uint64, rounds int, total *soak.History) (goroutines []int) {
	t.Helper()
	m, err := soak.NewMemory(seed, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer m.End()
	h := soak.History{Node: m, Seed: seed, Patience: 12, Busy: 6}
	if testing.Verbose() {
		h.Say = func(line string) { fmt.Println(line) }
	}
	defer func() {
		total.Rounds, total.Actions, total.Kills = total.Rounds+h.Rounds, total.Actions+h.Actions, total.Kills+h.Kills
		total.Lost, total.Leaked = total.Lost+h.Lost, total.Leaked+h.Leaked
	}()
	if err := h.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		if err := h.Round(t.Context()); err != nil {
			t.Error(err)
			return goroutines
		}
		goroutines = append(goroutines, runtime.NumGoroutine())
	}
	// One agent at rest is one goroutine, whatever it has been through.
	third := max(1, len(goroutines)/3)
	if from, to := middle(goroutines[:third]), middle(goroutines[len(goroutines)-third:]); to > from+2 {
		t.Errorf("seed %d: %d goroutines in the first third of the rounds, %d in the last", seed, from, to)
	}
	return goroutines
}

// middle is the median.
func middle(of []int) int {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}
