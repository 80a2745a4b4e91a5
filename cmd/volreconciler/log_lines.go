package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// logLines is a log that people read, a line for each entry: the object first, then what happened
// in words, then the error. The fields that the words say already are left out; in JSON all of
// them are there.
type logLines struct {
	zapcore.LevelEnabler
	out    zapcore.WriteSyncer
	fields []zapcore.Field
}

// With returns the log with fields that every entry has.
func (l *logLines) With(fields []zapcore.Field) zapcore.Core {
	with := *l
	with.fields = slices.Concat(l.fields, fields)
	return &with
}

// Check adds the log to those that an entry is written to.
func (l *logLines) Check(entry zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(entry.Level) {
		return to.AddCore(entry, l)
	}
	return to
}

// Write writes an entry.
func (l *logLines) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	text := oneLine(lineOf(entry.Message, newLogFields(slices.Concat(l.fields, fields))))
	_, err := fmt.Fprintf(l.out, "%s  %-5s %s\n", entry.Time.Format(time.RFC3339), entry.Level.CapitalString(), text)
	return err
}

// Sync writes what has not been written yet.
func (l *logLines) Sync() error { return l.out.Sync() }

// logFields are the fields of an entry, of which a line takes one after the other.
type logFields struct {
	keys   []string
	values map[string]any
}

func newLogFields(fields []zapcore.Field) *logFields {
	encoder := zapcore.NewMapObjectEncoder()
	f := &logFields{values: encoder.Fields}
	for _, field := range fields {
		field.AddTo(encoder)
		if _, there := f.values[field.Key]; there && !slices.Contains(f.keys, field.Key) {
			f.keys = append(f.keys, field.Key) // and not what zap adds, as errorVerbose
		}
	}
	return f
}

// take returns a field as text, and leaves it out of the rest.
func (f *logFields) take(key string) string {
	value, there := f.values[key]
	if !there {
		return ""
	}
	f.keys = slices.DeleteFunc(f.keys, func(k string) bool { return k == key })
	return wordFor(value)
}

// duration is like take, of a number of seconds.
func (f *logFields) duration(key string) string {
	seconds, isNumber := f.values[key].(float64)
	if text := f.take(key); !isNumber {
		return text
	}
	return shortDuration(time.Duration(seconds * float64(time.Second)))
}

// rest returns the fields that were not taken: "socket /run/agent.sock, specs /srv".
func (f *logFields) rest() string {
	var all []string
	for _, key := range f.keys {
		all = append(all, key+" "+wordFor(f.values[key]))
	}
	return strings.Join(all, ", ")
}

// wordFor returns a value as people read it.
func wordFor(value any) string {
	list, isList := value.([]any)
	if !isList {
		return fmt.Sprint(value)
	}
	var words []string
	for _, each := range list {
		words = append(words, wordFor(each))
	}
	return strings.Join(words, ", ")
}

// shortDuration rounds a duration to three digits or so.
func shortDuration(d time.Duration) string {
	for _, unit := range []time.Duration{time.Minute, time.Second, time.Millisecond, time.Microsecond} {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(10 * time.Nanosecond).String()
}

// changedBy is the end of a sentence about what was changed.
func changedBy(actor string) string {
	if actor == "" {
		return ""
	}
	return "; last written by " + actor
}

// lineOf returns the text of an entry.
func lineOf(message string, f *logFields) string {
	object, what, err := f.take("object"), f.take("what"), f.take("error")
	f.take("change") // the type of what
	switch {
	case what != "" && message == "done":
		message = pastTense(what)
		if event := f.take("event"); event != "" {
			message += " (" + event + ": " + f.take("why") + changedBy(f.take("by")) + ")"
			f.take("actor") // by, for programs
		} else if why := f.take("why"); why != "" {
			message += " (" + why + ")"
		}
	case what != "" && message == "failed":
		message = "cannot " + what
	case what != "" && message == "stale":
		message = "postponed: " + what + ": " + f.take("because")
	case what != "":
		message += ": " + what
	case object != "" && (message == "changed" || message == "deleted"):
		message = becameOf(f)
	case message == "finding":
		message = placeOf(f)
	case message == "faked":
		message += ": " + f.take("call")
	case message == "pass":
		message = fmt.Sprintf("pass took %s: steps %s, failed %s, processes %s", f.duration("seconds"), f.take("steps"), f.take("failed"), f.take("processes"))
	}
	var parts []string
	for _, part := range []string{object, message, err} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	line := strings.Join(parts, ": ")
	if rest := f.rest(); rest != "" {
		line += " (" + rest + ")"
	}
	return line
}

// becameOf returns what became of an object: "Blocked (Vanished), was Ready (AsDesired): its logical …".
func becameOf(f *logFields) string {
	e := status.Event{
		Type: status.EventType(f.take("event")), Phase: status.Phase(f.take("phase")), Reason: f.take("reason"),
		PreviousPhase: status.Phase(f.take("previousPhase")), PreviousReason: f.take("previousReason"), Message: f.take("because"),
	}
	return eventText(e)
}

// placeOf returns where a finding is, in the form in which editors find the place.
func placeOf(f *logFields) string {
	file, line, column, field := f.take("file"), f.take("line"), f.take("column"), f.take("field")
	for _, n := range []string{line, column} {
		if n != "" && n != "0" {
			file += ":" + n
		}
	}
	if file != "" && field != "" {
		field = ": " + field
	}
	return file + field
}

// pastTense returns the text of a change in the past tense: "create thin volume vg0/db" becomes
// "created thin volume vg0/db". A test has the verbs of all changes.
func pastTense(what string) string {
	verb, rest, _ := strings.Cut(what, " ")
	switch verb {
	case "set", "split", "cut":
	case "grow":
		verb = "grew"
	case "tell":
		verb = "told"
	case "write":
		verb = "wrote"
	case "overwrite":
		verb = "overwrote"
	case "map", "unmap", "admit":
		verb += verb[len(verb)-1:] + "ed"
	case "copy":
		verb = "copied"
	default:
		verb = strings.TrimSuffix(verb, "e") + "ed"
	}
	return strings.TrimSpace(verb + " " + strings.Replace(rest, ", then remove it", ", then removed it", 1))
}
