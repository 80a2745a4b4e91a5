package connect

import (
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Script returns the commands that connect the initiator, as a shell script for
// root on the initiator. It does no harm to run it again.
//
// It holds no password unless that was asked for, but reads them from files on the
// initiator: by default of the same path as on the node.
func (c Connection) Script() string {
	s := &script{secrets: c.request.ShowSecrets}
	s.line("#!/bin/sh")
	s.comment("Connects %s to Export %s (%s). Run it as root on the initiator.", c.initiator.Name, c.request.Export.Metadata.Name, c.target())
	s.comment("")
	for _, lun := range c.request.LUNs {
		c.describe(s, lun)
	}
	s.line("set -eu")
	s.line("umask 077")
	s.line("")
	switch {
	case c.protocol().IsNVMe():
		c.nvmeScript(s)
	case c.protocol() == spec.ProtocolFC:
		c.fcScript(s)
	default: // Resolve lets no other than iscsi and iser through
		c.iscsiScript(s)
	}
	return s.String()
}

// describe says what device a LUN will be.
func (c Connection) describe(s *script, lun LUN) {
	mode := "read-write"
	if c.readOnly(lun) {
		mode = "read-only"
	}
	if c.protocol().IsNVMe() {
		s.comment("Namespace %d: %s, %d bytes, %s: /dev/disk/by-id/nvme-uuid.%s", lun.namespaceID(), lun.Object, lun.Size, mode, lun.UUID)
	} else {
		s.comment("LUN %d: %s, %d bytes, %s: /dev/disk/by-id/wwn-0x%s", c.number(lun), lun.Object, lun.Size, mode, strings.TrimPrefix(lun.WWN, "naa."))
	}
}

// script is a shell script that is being written.
type script struct {
	strings.Builder
	secrets bool // passwords may stand in it
}

// line appends a line. What is put into it must be quoted.
func (s *script) line(format string, args ...any) {
	s.WriteString(fmt.Sprintf(format, args...) + "\n")
}

// text appends lines as they are.
func (s *script) text(lines string) { s.WriteString(lines) }

// comment appends a comment, which ends with its line whatever is put into it.
func (s *script) comment(format string, args ...any) {
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, args...))
	s.line("%s", strings.TrimRight("# "+text, " "))
}

// password sets a variable to a password: to its value if that may be seen, else to
// what is in a file on the initiator, which another variable may name.
func (s *script) password(variable, fileVariable string, c spec.Credentials) {
	if s.secrets {
		s.line("%s=%s", variable, quote(c.Password.Reveal()))
		return
	}
	file := path.Clean(c.PasswordFrom.File)
	s.line("file=%s", quote(file))
	s.line("file=${%s:-$file}", fileVariable)
	s.line(`[ -r "$file" ] || { echo "cannot read $file: save the %s there, readable by root only, or set %s to its path" >&2; exit 1; }`,
		strings.ReplaceAll(variable, "_", " "), fileVariable)
	s.line(`%s=$(cat "$file")`, variable)
}

// plain are the characters that mean nothing to a shell anywhere in a word.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:/@%+-"

// quote returns a text as one word for a POSIX shell. (A text with a NUL is none.)
func quote(text string) string {
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
