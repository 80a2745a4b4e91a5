#!/bin/sh
# Runs golangci-lint in the version that test/tools pins, with the arguments given.
exec "$(dirname "$0")/tool.sh" . github.com/golangci/golangci-lint/v2 cmd/golangci-lint "$@"
