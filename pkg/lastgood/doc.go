// Package lastgood keeps what spec files said when they were last read without mistakes, so that
// a file that is broken when the agent starts still declares that. It knows nothing of what the
// files say, and never fails a start: what cannot be read, or is not as it was written, is as
// if it had not been kept.
//
// Start reading at [Store.Keep].
package lastgood
