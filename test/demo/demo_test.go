package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestParagraphsFitTheWidth(t *testing.T) {
	text := paragraph("   saw      ", strings.Repeat("some words ", 30)+"\nand a line of its own")
	for line := range strings.Lines(text) {
		if n := len(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.HasSuffix(text, "\n            and a line of its own\n") {
		t.Error(text)
	}
}

func TestTheLogIsQuotedWithoutItsTimes(t *testing.T) {
	log := &agentLog{}
	_, _ = log.Write([]byte("2026-11-28T19:08:57Z  INFO  Export/db: enabled target x (DriftCorrected: disabled)\n2026-11-28T19:08:57Z  ERROR Volume/a: cannot\n"))
	if got := log.lines(`^Export/db: .*DriftCorrected`); len(got) != 1 || got[0] != "Export/db: enabled target x (DriftCorrected: disabled)" {
		t.Errorf("%q", got)
	}
	if got := log.last(1); got != "Volume/a: cannot" {
		t.Errorf("%q", got)
	}
}

func TestAnExportIsTakenOutOfItsFile(t *testing.T) {
	text := "kind: Pool\nspec: 1\n---\nkind: Volume\nspec: 2\n---\nkind: Export\nspec: 3\n"
	if got := withoutExport(text); got != "kind: Pool\nspec: 1\n---\nkind: Volume\nspec: 2\n" {
		t.Errorf("%q", got)
	}
}

func TestAnInterruptedStepHasNotFailed(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	out := &strings.Builder{}
	d := &demo{out: out}
	err := d.tell(ctx, step{try: func(ctx context.Context) (string, error) {
		interrupt()
		return "", ctx.Err()
	}})
	if !errors.Is(err, context.Canceled) || !strings.HasSuffix(out.String(), "   interrupted\n") || strings.Contains(out.String(), "FAILED") {
		t.Errorf("%v: %s", err, out)
	}
}
