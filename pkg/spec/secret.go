package spec

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"
)

const (
	maxSecretFile = 4 << 10
	// minPassword is 96 bits: RFC 7143 asks for that where nothing else
	// protects the exchange, and initiators such as Windows take no less.
	minPassword = 12
	// null at the beginning of a name or password is all that the kernel looks
	// at: it takes the rest for nothing, too.
	null = "NULL"
)

// secretReader returns the password in a file. Its errors say what to do, and
// never contain what the file says.
type secretReader func(path string) (Secret, error)

// withSecrets returns a copy of an Export in which every password is filled in.
// The Export itself is shared with other Sets and is not changed.
func withSecrets(o *object, e *Export, read secretReader) (*Export, []Finding) {
	var findings []Finding
	filled := *e
	filled.Spec.Initiators = append([]Initiator(nil), e.Spec.Initiators...)
	fill := func(c *Credentials, path string) *Credentials {
		if c == nil {
			return nil
		}
		secret, err := readPassword(read, c.PasswordFrom.File)
		if err == nil && e.Spec.Protocol.IsNVMe() && secret != NewSecret(Redacted) {
			err = checkHostKey(secret)
		}
		if err != nil {
			findings = append(findings, o.finding(path+".passwordFrom.file", err))
		}
		with := *c
		with.Password = secret
		return &with
	}
	for i := range filled.Spec.Initiators {
		initiator := &filled.Spec.Initiators[i]
		if initiator.Auth == nil {
			continue
		}
		path := itemPath("spec.initiators", i) + ".auth"
		initiator.Auth = &Auth{
			CHAP:   fill(initiator.Auth.CHAP, path+".chap"),
			Mutual: fill(initiator.Auth.Mutual, path+".mutual"),
		}
		if a := initiator.Auth; a.CHAP != nil && a.Mutual != nil &&
			a.CHAP.Password == a.Mutual.Password && a.CHAP.Password != (Secret{}) && a.CHAP.Password != NewSecret(Redacted) {
			findings = append(findings, o.finding(path+".mutual.passwordFrom.file", errors.New(
				"contains the same password as the file for chap; the two must differ (RFC 7143, section 12.1.3)")))
		}
	}
	return &filled, findings
}

// checkHostKey accepts the keys that nvme gen-dhchap-key makes: DHHC-1, how the key
// is transformed, and the key in base64 with four bytes of CRC-32 at its end (TP
// 8006; nvme_auth_extract_key in drivers/nvme/common/auth.c).
func checkHostKey(key Secret) error {
	parts := strings.Split(key.Reveal(), ":")
	if len(parts) != 4 || parts[0] != "DHHC-1" || parts[3] != "" {
		return errors.New("the file must contain a key of the form DHHC-1:00:<base64>: as printed by nvme gen-dhchap-key")
	}
	sizes := map[string][]int{"00": {32, 48, 64}, "01": {32}, "02": {48}, "03": {64}}[parts[1]]
	if sizes == nil {
		return errors.New("the key in the file must have 00, 01, 02 or 03 after DHHC-1: (create it with nvme gen-dhchap-key)")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || !slices.Contains(sizes, len(raw)-4) {
		return fmt.Errorf("the key in the file must be %v bytes and a checksum in base64; create it with nvme gen-dhchap-key", sizes)
	}
	if binary.LittleEndian.Uint32(raw[len(raw)-4:]) != crc32.ChecksumIEEE(raw[:len(raw)-4]) {
		return errors.New("the key in the file does not match its checksum: a character is wrong or missing")
	}
	return nil
}

// secretFiles lists the password files that an object names.
func (o *object) secretFiles() []string {
	var files []string
	if r, ok := o.value.(*Repository); ok {
		files = append(files, r.Spec.Restic.PasswordFrom.File)
		for _, name := range slices.Sorted(maps.Keys(r.Spec.Restic.EnvironmentFrom)) {
			files = append(files, r.Spec.Restic.EnvironmentFrom[name].File)
		}
		return files
	}
	e, ok := o.value.(*Export)
	if !ok {
		return nil
	}
	for _, initiator := range e.Spec.Initiators {
		if initiator.Auth == nil {
			continue
		}
		for _, c := range []*Credentials{initiator.Auth.CHAP, initiator.Auth.Mutual} {
			if c != nil {
				files = append(files, c.PasswordFrom.File)
			}
		}
	}
	return files
}

// passwords are what is in password files, by their paths, as they were read in a pass.
type passwords map[string]password

// password is what is in a password file, or why that cannot be known.
type password struct {
	secret Secret
	err    error
}

// readSecrets reads password files, each once.
func readSecrets(files []string) passwords {
	read := make(passwords, len(files))
	for _, file := range files {
		secret, err := readSecret(file)
		read[file] = password{secret, err}
	}
	return read
}

// of is a secretReader of files that were read.
func (p passwords) of(path string) (Secret, error) {
	if one, is := p[path]; is {
		return one.secret, one.err
	}
	return readSecret(path)
}

// equal reports whether files hold the same, and those that cannot be read have the same
// mistakes.
func (p passwords) equal(others passwords) bool {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	return maps.EqualFunc(p, others, func(a, b password) bool { return a.secret == b.secret && text(a.err) == text(b.err) })
}

// redacted is a secretReader that reads nothing.
func redacted(string) (Secret, error) { return NewSecret(Redacted), nil }

// mayHoldPassword reports whether a path may hold a password by mistake, in the place of
// the name of its file, or in the URL of an image. A finding does not repeat such a
// value: findings are written to logs and the status.
func mayHoldPassword(path string) bool {
	if rest, ok := strings.CutPrefix(path, "spec.source"); ok {
		return rest == "" || rest[0] == '.' && rest != ".volume" && rest != ".snapshot" && !strings.HasPrefix(rest, ".backup.")
	}
	if strings.HasPrefix(path, "spec.restic") {
		return true
	}
	return strings.Contains(path, ".auth") && !strings.HasSuffix(path, ".username")
}

// withoutPasswords replaces findings inside a password file that is taken for a file
// of specs, because such a finding repeats pieces of the file.
func withoutPasswords(findings []Finding, objects []*object) []Finding {
	if len(findings) == 0 {
		return nil
	}
	named := map[string]*object{}
	for _, o := range objects {
		for _, path := range o.secretFiles() {
			named[resolved(path)] = o
		}
	}
	var kept []Finding
	for _, f := range findings {
		o := named[resolved(f.File)]
		if o != nil {
			f = Finding{File: f.File, Err: fmt.Errorf(
				"this is the password file of %s, but *.yaml and *.yml files in the spec directory are read as specs; rename the file", o.id)}
		}
		if o == nil || len(kept) == 0 || kept[len(kept)-1].File != f.File {
			kept = append(kept, f)
		}
	}
	return kept
}

// resolved returns a path without symbolic links, or as it is if that fails.
func resolved(path string) string {
	if target, err := realPath(path); err == nil {
		return target
	}
	return filepath.Clean(path)
}

// checkFilePath accepts paths that lead to one place wherever the agent runs.
// The error does not repeat it, see [mayHoldPassword].
func checkFilePath(file string) error {
	switch {
	case !filepath.IsAbs(file) || filepath.Clean(file) != file:
		return errors.New("must be an absolute path without ., .. or double slashes")
	case strings.ContainsFunc(file, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("must contain printable characters only")
	default:
		return nil
	}
}

// CheckNamesFile is an error if no file exists at a path. It does not repeat the path: somebody may have written a
// password there instead, and errors are written to logs, the status and support bundles.
func CheckNamesFile(path string) error {
	_, err := os.Stat(path)
	if err == nil {
		return nil
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("it does not name an existing file: %w. Write the path of a file; what is written there is not shown, because it may be a password", err)
}

// ReadSecret returns the password in the file that a setting names, by the rules for the files that Exports
// name. Its errors never contain what the file says, nor the path unless a file is there.
func ReadSecret(path string) (Secret, error) {
	if err := checkFilePath(path); err != nil {
		return Secret{}, err
	}
	if err := CheckNamesFile(path); err != nil {
		return Secret{}, err
	}
	return readPassword(readSecret, path)
}

// readPassword reads the password of an initiator or target.
func readPassword(read secretReader, path string) (Secret, error) {
	secret, err := read(path)
	if err == nil && secret != NewSecret(Redacted) {
		if err = checkPassword(secret.Reveal()); err != nil {
			return Secret{}, fmt.Errorf("password file %s %w", path, err)
		}
	}
	return secret, err
}

// readSecret is the secretReader for the files of this node: only root (or
// whoever runs the agent) may be able to read them. Of a symbolic link it judges
// the file that it leads to.
func readSecret(path string) (Secret, error) {
	// A FIFO must not hold up the pass, hence O_NONBLOCK.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Secret{}, fmt.Errorf("password file %s does not exist; create it with only the password in it, and run chmod 600 on it", path)
	case err != nil:
		return Secret{}, fmt.Errorf("cannot read the password file: %w", err)
	}
	defer func() { _ = f.Close() }()
	stat, err := f.Stat()
	if err != nil {
		return Secret{}, fmt.Errorf("cannot read the password file: %w", err)
	}
	if err := checkSecretFile(path, stat); err != nil {
		return Secret{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return Secret{}, fmt.Errorf("cannot read the password file: %w", err)
	}
	password := strings.TrimSuffix(string(text), "\n")
	if err := checkSecretText(password); err != nil {
		return Secret{}, fmt.Errorf("password file %s %w", path, err)
	}
	return NewSecret(password), nil
}

// checkSecretText accepts one line.
func checkSecretText(text string) error {
	switch {
	case text == "":
		return errors.New("is empty")
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("contains a control character (more than one line, or a carriage return?); it must contain only the password")
	default:
		return nil
	}
}

func checkSecretFile(path string, stat fs.FileInfo) error {
	switch {
	case !stat.Mode().IsRegular():
		return fmt.Errorf("password file %s is not a regular file", path)
	case stat.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("password file %s is accessible to others (mode %04o); run chmod 600 %s", path, stat.Mode().Perm(), path)
	case !isTrusted(stat):
		return fmt.Errorf("password file %s belongs to another user, who can read and change it; run chown %d %s", path, os.Geteuid(), path)
	case stat.Size() > maxSecretFile:
		return fmt.Errorf("password file %s has %d bytes; it must contain only the password", path, stat.Size())
	default:
		return nil
	}
}

// isTrusted reports whether a file belongs to root, or to whoever runs the agent.
func isTrusted(stat fs.FileInfo) bool {
	s, ok := stat.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Geteuid())
}

// checkPassword accepts what the kernel and common initiators take.
func checkPassword(password string) error {
	switch {
	case strings.HasPrefix(password, null):
		return errors.New(`has a password that begins with "NULL", which means no password to the kernel; choose another`)
	case len(password) > maxCHAP:
		return fmt.Errorf("has a password of %d bytes; the kernel accepts at most %d", len(password), maxCHAP)
	case len(password) < minPassword:
		return fmt.Errorf("has a password of %d bytes; at least %d are required (96 bits; RFC 7143, section 12.1.3)", len(password), minPassword)
	default:
		return nil
	}
}
