package main

import (
	"io"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger returns the agent's log. Level and format have been checked as
// settings.
func newLogger(w io.Writer, level, format string) (logr.Logger, error) {
	threshold, err := zapcore.ParseLevel(level)
	if err != nil {
		return logr.Logger{}, err
	}
	fields := zap.NewProductionEncoderConfig()
	fields.EncodeTime = zapcore.RFC3339TimeEncoder
	encoder := zapcore.NewJSONEncoder(fields)
	if format == "text" {
		fields.EncodeLevel = zapcore.CapitalLevelEncoder
		fields.ConsoleSeparator = "  "
		encoder = zapcore.NewConsoleEncoder(fields)
	}
	core := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), threshold)
	return zapr.NewLogger(zap.New(core)), nil
}
