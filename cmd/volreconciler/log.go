package main

import (
	"io"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger returns the agent's log: lines for people, or all fields as JSON. Level and
// format have been checked as settings.
func newLogger(w io.Writer, level, format string) (logr.Logger, error) {
	threshold, err := zapcore.ParseLevel(level)
	if err != nil {
		return logr.Logger{}, err
	}
	out := zapcore.Lock(zapcore.AddSync(w))
	if format == "text" {
		return zapr.NewLogger(zap.New(&logLines{LevelEnabler: threshold, out: out})), nil
	}
	fields := zap.NewProductionEncoderConfig()
	fields.EncodeTime = zapcore.RFC3339TimeEncoder
	return zapr.NewLogger(zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(fields), out, threshold))), nil
}
