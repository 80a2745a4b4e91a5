package notify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// DefaultSettle is how long a state must last to be reported, if the target does not say.
	DefaultSettle = 2 * time.Minute
	// MaxSettle keeps a unit that was mistaken from silencing a target.
	MaxSettle = 24 * time.Hour
)

// Target is a receiver of notifications. Exactly one of Webhook, Alertmanager and Command is set.
type Target struct {
	// Webhook is a URL that a message is posted to as JSON.
	Webhook string
	// SecretFile holds only the key by which the body of a webhook is signed; empty: it is not.
	SecretFile string
	// Alertmanager is the URL of a Prometheus Alertmanager, without /api.
	Alertmanager string
	// CAFile has PEM certificates to trust besides the machine's; empty: only those.
	CAFile string
	// Command is a program, by its absolute path, with its arguments. It reads a message as JSON.
	Command []string
	// When are phases, reasons and types of events to report; empty: see [DefaultWhen].
	When []string
	// Settle is how long a state must last to be reported.
	Settle time.Duration

	interval time.Duration // that of [ledger]; 0: its own
}

// DefaultWhen is what is reported to a target that does not say: whatever needs somebody. Objects that
// only wait for initiators or for another object are left out, see [status.WaitsForOthers].
var DefaultWhen = []string{string(status.Failed), string(status.Blocked), status.ReasonForeign, string(status.DriftCorrected)}

// selects reports whether an event is of those that the target wants.
func (t Target) selects(e status.Event) bool {
	if e.Type != status.Changed {
		return slices.Contains(t.when(), string(e.Type))
	}
	// What is well when it is first seen has not become so: the agent was started.
	if e.PreviousPhase == "" && !needsSomebody(e.Phase) {
		return false
	}
	if len(t.When) == 0 && status.WaitsForOthers(e.Reason) {
		return false
	}
	return slices.ContainsFunc(t.when(), func(word string) bool {
		return word == string(e.Type) || word == string(e.Phase) || word == e.Reason
	})
}

func (t Target) when() []string {
	if len(t.When) == 0 {
		return DefaultWhen
	}
	return t.When
}

// needsSomebody reports whether a phase is not one of those in which all is well, or under way.
func needsSomebody(phase status.Phase) bool {
	switch phase {
	case status.Ready, status.Progressing, status.Orphaned, status.Suspended, status.Deleting:
		return false
	default:
		return true
	}
}

// CheckWhen returns what is wrong with a word of When.
func CheckWhen(word string) error {
	if slices.Contains(status.Phases(), status.Phase(word)) || slices.Contains(status.Reasons(), word) ||
		slices.Contains(status.EventTypes(), status.EventType(word)) {
		return nil
	}
	if name, failed := strings.CutSuffix(word, "Failed"); failed {
		if slices.ContainsFunc(change.Kinds(), func(c change.Change) bool { return change.Name(c) == name }) {
			return nil
		}
	}
	return fmt.Errorf("must be a phase (%s), an event (%s) or a reason such as NoSpace; docs/reference.md lists the reasons",
		joined(status.Phases()), joined(status.EventTypes()))
}

func joined[T ~string](words []T) string {
	var all []string
	for _, w := range words {
		all = append(all, string(w))
	}
	return strings.Join(all, ", ")
}

// CheckURL returns what is wrong with the URL of a webhook or an Alertmanager. It does not repeat it: the
// path and the query of a webhook may be secret.
func CheckURL(text string, query bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("write a URL that begins with https:// or http://, for example https://hooks.example.org/storage")
	case u.User != nil:
		return errors.New("must not contain a user name or a password")
	case u.Fragment != "" || !query && u.RawQuery != "":
		return errors.New("must end before the first ? or #")
	}
	return nil
}

// Check returns what is wrong with a target as a whole.
func (t Target) Check() error {
	kinds := 0
	for _, given := range []bool{t.Webhook != "", t.Alertmanager != "", len(t.Command) > 0} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("write one of webhook, alertmanager and command")
	case t.SecretFile != "" && t.Webhook == "":
		return errors.New("secret-file requires webhook")
	case t.CAFile != "" && !strings.HasPrefix(t.Webhook+t.Alertmanager, "https://"):
		return errors.New("ca-file requires a URL with https://")
	}
	return nil
}

// Problem returns why a target cannot be notified, as far as this machine shows; nil: nothing is known. The
// files may be corrected while the agent runs: they are read again for each message.
func (t Target) Problem() error {
	if t.SecretFile != "" {
		if _, err := spec.ReadSecret(t.SecretFile); err != nil {
			return fmt.Errorf("secret-file: %w", err)
		}
	}
	if _, err := t.authorities(); err != nil {
		return err
	}
	if len(t.Command) > 0 {
		if stat, err := os.Stat(t.Command[0]); err != nil {
			return fmt.Errorf("cannot run the command: %w", err)
		} else if !stat.Mode().IsRegular() || stat.Mode().Perm()&0o111 == 0 {
			return fmt.Errorf("cannot run the command: %s is not an executable file; run chmod +x on it, or correct the path", t.Command[0])
		}
	}
	return nil
}

// authorities are the certificates to trust; nil: the machine's.
func (t Target) authorities() (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil //nolint:nilnil // the machine's, and nothing is wrong
	}
	if err := spec.CheckNamesFile(t.CAFile); err != nil {
		return nil, fmt.Errorf("ca-file: %w", err)
	}
	data, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the CA certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s contains no PEM certificate; write the certificate of the CA into it", t.CAFile)
	}
	return pool, nil
}

// String names the target without what may be secret: paths, queries and arguments.
func (t Target) String() string {
	kind, address := "webhook", t.Webhook
	if t.Alertmanager != "" {
		kind, address = "alertmanager", t.Alertmanager
	}
	if len(t.Command) > 0 {
		return "command " + filepath.Base(t.Command[0])
	}
	u, err := url.Parse(address)
	if err != nil {
		return kind
	}
	return kind + " " + u.Host
}
