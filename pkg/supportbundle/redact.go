package supportbundle

import (
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

// redacted replaces what may be a password.
const redacted = "<redacted>"

// Secrets that are known by their form, whatever is around them.
var forms = []*regexp.Regexp{
	regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)`),
	regexp.MustCompile(`DHHC-1:[0-9A-Fa-f]{2}:[A-Za-z0-9+/=]+:?`),
	regexp.MustCompile(`AGE-SECRET-KEY-[A-Z0-9-]+`),
	// crypt(5): bcrypt, SHA, MD5, yescrypt, scrypt, argon2.
	regexp.MustCompile(`\$(?:2[abxy]?|1|5|6|7|y|gy|argon2[a-z]*|scrypt)\$[^\s"':,]+`),
	regexp.MustCompile(`(?i)\b(?:Bearer|Basic) +[A-Za-z0-9+/=._~-]{8,}`),
	regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+`), // a JSON web token
}

var (
	// assigned is a value behind a name that sounds like a secret: password=x, "token": "x", PSK: x.
	assigned = regexp.MustCompile(`(?i)([\w.-]*(?:passw|\bpass\b|\bpwd\b|passphrase|secret|token|credential|api[_-]?key|private[_-]?key|\bpsk|authorization|cookie)[\w.-]*)(\\?["']?\s*(?:=|:(?:\s|\\?["']|$))\s*)(\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\n]+)`)
	// block is such a value on lines of its own, as in YAML, with all that is indented after it.
	block = regexp.MustCompile(`(?im)^([ \t-]*["']?[\w.-]*(?:passw|pass|pwd|passphrase|secret|token|credential|api[_-]?key|private[_-]?key|psk)[\w.-]*["']?)(: *)[|>][-+0-9]*[ \t]*(?:\n[ \t]+[^\n]*|\n[ \t]*$)+`)
	// user is a password behind a name: curl -u name:x, and incominguser name x in targets.conf(5).
	user = regexp.MustCompile(`(?i)((?:^|\s)-u[ =]?[^\s:]+|(?:incoming|outgoing)user[ \t]+\S+)([: \t]+)(\S+)`)
	// option is the value of such an option of a command: --password x, auth.password -v x.
	option = regexp.MustCompile(`(?i)(--?[\w-]*(?:passw|passphrase|secret|token|credential|api-?key)[\w-]*|auth\.password(?:_in)? +(?:-v|--value))([ =]+)("[^"]*"|'[^']*'|\S+)`)
	// aboutFile is a name of where a secret is, which is none.
	aboutFile = regexp.MustCompile(`(?i)(?:file|path|from|dir)$|passwordfrom`)
)

// Forms returns a text without secrets that are known by their form, and with URLs in their public form. JSON
// remains JSON.
func Forms(text string) string {
	text = publicurl.InText(text)
	for _, form := range forms {
		text = form.ReplaceAllString(text, redacted)
	}
	return text
}

// Text returns a text that others wrote without what may be a secret: URLs in their public form, secrets that are
// known by their form, and values of what sounds like a secret. It prefers to leave out too much.
func Text(text string) string {
	text = Forms(text)
	for _, named := range []*regexp.Regexp{block, user, option, assigned} {
		text = named.ReplaceAllStringFunc(text, func(found string) string {
			parts := named.FindStringSubmatch(found)
			if aboutFile.MatchString(parts[1]) {
				return found
			}
			return parts[1] + parts[2] + redacted
		})
	}
	return text
}

// mountOptions are the options of mounts whose values are no secrets.
var mountOptions = []string{
	"size", "mode", "uid", "gid", "nr_inodes", "errors", "data", "stripe", "sunit", "swidth", "logbsize", "logbufs", "subvol", "subvolid",
	"compress", "commit", "fd", "pgrp", "timeout", "minproto", "maxproto", "direct", "ptmxmode", "vers", "rsize", "wsize", "proto", "sec", "hidepid",
}

// Mounts returns the content of /proc/mounts without what may be a secret. Network file systems have users,
// passwords and keys in their sources and options.
func Mounts(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		fields[0] = Text(fields[0])
		if at := strings.LastIndex(fields[0], "@"); at >= 0 && !strings.HasPrefix(fields[0], "/dev/") {
			fields[0] = redacted + fields[0][at:]
		}
		options := strings.Split(fields[3], ",")
		for i, o := range options {
			if name, _, hasValue := strings.Cut(o, "="); hasValue && !slices.Contains(mountOptions, name) {
				options[i] = name + "=" + redacted
			}
		}
		fields[3] = strings.Join(options, ",")
		out.WriteString(strings.Join(fields, " ") + "\n")
	}
	return out.String()
}

// mapperTargets are the targets of device-mapper whose tables have no keys.
var mapperTargets = []string{
	"cache", "clone", "delay", "era", "error", "linear", "mirror", "multipath", "raid", "snapshot", "snapshot-merge", "snapshot-origin",
	"striped", "thin", "thin-pool", "unstriped", "vdo", "verity", "writecache", "zero",
}

// MapperTable returns the output of dmsetup table without the tables that may hold keys. dmsetup itself hides
// those of dm-crypt only.
func MapperTable(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		target := slices.IndexFunc(fields, func(f string) bool { return slices.Contains(mapperTargets, f) })
		switch {
		case target == 3: // NAME: START LENGTH TARGET …
			out.WriteString(Text(line))
		case len(fields) > 3:
			out.WriteString(strings.Join(fields[:4], " ") + " " + redacted + "\n")
		case len(fields) > 0:
			out.WriteString(redacted + "\n")
		}
	}
	return out.String()
}
