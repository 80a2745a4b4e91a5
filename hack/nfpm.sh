#!/bin/sh
# Runs nfpm, which makes packages, in the version that test/tools/nfpm pins, with the arguments given.
exec "$(dirname "$0")/tool.sh" nfpm github.com/goreleaser/nfpm/v2 cmd/nfpm "$@"
