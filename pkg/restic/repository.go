package restic

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Repository is one repository of restic, and how it is reached. It is safe for concurrent use
// as long as nobody changes it; what restic itself does not allow at the same time (prune and
// everything else) fails with [ErrLocked].
type Repository struct {
	// URL is what restic takes as RESTIC_REPOSITORY, such as s3:https://s3.example.org/bucket.
	// It may contain credentials: print [Repository.String] instead.
	URL string
	// Password opens the repository.
	Password spec.Secret
	// Environment is what the backend needs besides, such as AWS_ACCESS_KEY_ID.
	Environment map[string]spec.Secret
	// CacheDir is where restic keeps its cache. Empty: it works without one.
	CacheDir string
	// Host is written into new snapshots. Empty: the name of this machine.
	Host string
	// Program is the program, "restic" if it is empty.
	Program string
	// NoLock does not lock the repository for reading: necessary where the repository is
	// read-only, and unsafe while somebody prunes.
	NoLock bool
	// Idle runs restic with the lowest priority for processor and disk.
	Idle bool
	// Options are extended options (restic's --option), such as sftp.args=…. They appear in the
	// list of processes: no secrets.
	Options []string
	// Runner runs the program; nil: as a child of this process.
	Runner Runner
}

// String is the repository as everybody may see it: without credentials.
func (r Repository) String() string { return publicAddress(r.URL) }

// GoString keeps %#v from printing credentials.
func (r Repository) GoString() string { return "restic.Repository(" + r.String() + ")" }

// publicAddress is the public form of a URL of restic's: a backend, a colon, and often a URL.
func publicAddress(address string) string {
	if before, rest, ok := strings.Cut(address, "://"); ok {
		backend, scheme := "", before
		if i := strings.LastIndexByte(before, ':'); i >= 0 {
			backend, scheme = before[:i+1], before[i+1:]
		}
		return backend + publicurl.Of(scheme+"://"+rest)
	}
	return address
}

// environment is that of restic, and nothing else of this process's but HOME and SSH_AUTH_SOCK,
// which ssh looks at, and where certificates and proxies are.
func (r Repository) environment() []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C", "TZ=UTC", "RESTIC_PROGRESS_FPS=2",
		"RESTIC_REPOSITORY=" + r.URL, "RESTIC_PASSWORD=" + r.Password.Reveal(),
	}
	if r.CacheDir != "" {
		env = append(env, "RESTIC_CACHE_DIR="+r.CacheDir)
	}
	for _, name := range []string{"HOME", "SSH_AUTH_SOCK", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range r.Environment {
		env = append(env, name+"="+value.Reveal())
	}
	return env
}

// secrets are the texts that no message may contain.
func (r Repository) secrets() []string {
	secrets := []string{r.Password.Reveal()}
	for _, value := range r.Environment {
		secrets = append(secrets, value.Reveal())
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == "" })
	// One may contain another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}

// invocation is one start of restic.
type invocation struct {
	args   []string
	dir    string // the working directory; empty: /
	stdout io.Writer
	reads  bool // changes nothing in the repository but its locks
	soon   bool // an answer is wanted soon, or an error
}

// run runs restic to its end. Its error is an [*Error], or the context's.
func (r Repository) run(ctx context.Context, i invocation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	args := slices.Clone(i.args)
	if r.CacheDir == "" {
		args = append(args, "--no-cache")
	}
	if i.reads && r.NoLock {
		args = append(args, "--no-lock")
	}
	for _, option := range r.Options {
		args = append(args, "--option", option)
	}
	program := r.Program
	if program == "" {
		program = "restic"
	}
	runner := r.Runner
	if runner == nil {
		runner = Child{Idle: r.Idle}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	said := &tail{}
	code, err := runner.Run(ctx, Command{
		Program: program, Args: args, Env: r.environment(), Dir: i.dir, Stdout: i.stdout,
		Stderr: io.MultiWriter(said, newImpatient(i.soon, stop)),
	})
	if err == nil && code == 0 {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return &Error{Command: i.args[0], Repository: r.String(), ExitCode: code, Output: r.redact(said.String()), Err: cause}
	}
	return r.newError(i.args[0], code, said.String(), err)
}
