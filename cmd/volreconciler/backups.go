package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// place says where backups are: the flags of the commands that read them without an agent.
type place struct {
	// repository is a URL if there is a file of its password, otherwise the name of a Repository in the specs.
	repository, passwordFile string
}

// addFlags adds them to a command.
func (p *place) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.repository, "repository", "", "`url` of a restic repository, with --password-file; or the name of a Repository in the specs (default: all in the specs)")
	cmd.Flags().Var(text(&p.passwordFile, "file", absolute), "password-file", "file with only the password of a repository given by URL, for example /etc/volreconciler/secrets/restic (default: that of the Repository)")
}

// namedRepository is a repository that is read by a command.
type namedRepository struct {
	name string // empty: it has none
	restic.Repository
}

// open returns the repositories. They are read without a cache, and by any user who may read the passwords.
func (p *place) open(ctx context.Context, s *settings) ([]namedRepository, error) {
	if p.passwordFile != "" {
		if p.repository == "" {
			return nil, errors.New("--password-file requires --repository, the URL of a restic repository")
		}
		password, err := readSecret(p.passwordFile)
		if err != nil {
			return nil, err
		}
		return []namedRepository{{"", restic.Repository{URL: p.repository, Password: password, Environment: callersEnvironment()}}}, nil
	}
	set := s.source(logr.Discard(), nil).Load(ctx)
	for id, err := range set.Invalid {
		if id.Kind == spec.KindRepository && (p.repository == "" || p.repository == id.Name) {
			return nil, fmt.Errorf("%s is invalid: %w", id, err)
		}
	}
	var found []namedRepository
	for _, name := range slices.Sorted(maps.Keys(set.Repositories)) {
		if p.repository != "" && p.repository != name {
			continue
		}
		r := set.Repositories[name].Spec.Restic
		environment := callersEnvironment()
		maps.Copy(environment, r.Environment)
		found = append(found, namedRepository{name, restic.Repository{URL: r.URL, Password: r.Password, Environment: environment}})
	}
	if len(found) == 0 && p.repository != "" {
		return nil, fmt.Errorf("no Repository %q in %s; for a URL, add --password-file FILE", p.repository, s.specs)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no Repository in %s; use --repository URL --password-file FILE", s.specs)
	}
	return found, nil
}

// readSecret reads a password from a file.
func readSecret(file string) (spec.Secret, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return spec.Secret{}, fmt.Errorf("cannot read the password: %w", err)
	}
	line := strings.TrimRight(string(data), "\r\n")
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return spec.Secret{}, fmt.Errorf("%s must contain the password in one line, and nothing else", file)
	}
	return spec.NewSecret(line), nil
}

// backends are how the names of variables begin by which restic's backends are configured, see its manual.
var backends = []string{"AWS_", "AZURE_", "B2_", "GOOGLE_", "OS_", "RCLONE_", "RESTIC_REST_", "ST_"}

// callersEnvironment returns the variables of whoever runs the command that are for backends.
func callersEnvironment() map[string]spec.Secret {
	environment := map[string]spec.Secret{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if slices.ContainsFunc(backends, func(b string) bool { return strings.HasPrefix(name, b) }) {
			environment[name] = spec.NewSecret(value)
		}
	}
	return environment
}

func newBackupsCommand() *cobra.Command {
	s, p, format := newSettings(), &place{}, "table"
	cmd := &cobra.Command{
		Use:   "backups [VOLUME]",
		Short: "List the backups in restic repositories",
		Long: `List the backups of all volumes, or of one, in the repositories of the specs, or in one that
is given with its URL. It needs no agent, and runs on any machine that has restic and can
reach the repository.

Variables of the environment for restic's backends, such as AWS_ACCESS_KEY_ID, are used;
those of a Repository in the specs override them. backups takes no lock in the repository.

A backup whose layout is of another version of volreconciler is marked "unreadable".

Exit status: 0; 1 if a repository cannot be read, or the command is wrong.`,
		Example: `  volreconciler backups
  volreconciler backups db-data --repository offsite
  volreconciler backups --repository sftp:backup@192.0.2.7:/srv/node7 --password-file restic.secret -o json`,
		Args: atMostOneVolume,
		RunE: func(cmd *cobra.Command, args []string) error {
			volume := ""
			if len(args) > 0 {
				volume = args[0]
			}
			return listBackups(cmd.Context(), s, p, volume, format, cmd.OutOrStdout())
		},
	}
	s.forCommand(cmd, "specs")
	p.addFlags(cmd)
	outputFlag(cmd, &format, "table", "json")
	return cmd
}

func atMostOneVolume(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%s accepts one volume, but got %q; see %s --help", cmd.Name(), args, cmd.CommandPath())
	}
	return nil
}

// shownBackup is a backup as it is listed.
type shownBackup struct {
	Repository string    `json:"repository,omitempty"`
	ID         string    `json:"id"`
	Time       time.Time `json:"time"`
	Volume     string    `json:"volume"`
	// Schedule made it, or Backup asked for it; one of the two is empty.
	Schedule   string `json:"schedule,omitempty"`
	Backup     string `json:"backup,omitempty"`
	Size       uint64 `json:"size"`
	AgeSeconds int64  `json:"ageSeconds"`
	Unreadable bool   `json:"unreadable,omitempty"`
}

func listBackups(ctx context.Context, s *settings, p *place, volume, format string, out io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	repositories, err := p.open(ctx, s)
	if err != nil {
		return err
	}
	now := time.Now()
	shown := []shownBackup{}
	for _, r := range repositories {
		r.NoLock = true
		found, err := readBackups(ctx, r.Repository, volume)
		if err != nil {
			return err
		}
		for _, b := range found {
			shown = append(shown, shownBackup{
				Repository: r.name, ID: b.ID, Time: b.Time, Volume: b.Volume, Schedule: b.Schedule, Backup: b.Object, Size: b.Size,
				AgeSeconds: int64(now.Sub(b.Time).Seconds()), Unreadable: b.Unreadable,
			})
		}
	}
	if format == "json" {
		return writeJSON(out, shown)
	}
	if len(shown) == 0 {
		_, err := fmt.Fprintln(out, "No backups.")
		return err
	}
	return writeBackups(out, shown, len(repositories) > 1)
}

// readBackups lists the backups in a repository, or those of one volume.
func readBackups(ctx context.Context, r restic.Repository, volume string) ([]observe.Backup, error) {
	snapshots, err := backup.List(ctx, r, volume)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	var found []observe.Backup
	for _, s := range snapshots {
		found = append(found, catalog.Parse(s))
	}
	return found, err
}

func writeBackups(out io.Writer, shown []shownBackup, several bool) error {
	t := &table{}
	heading := []string{"ID", "TIME", "AGE", "VOLUME", "SIZE", "MADE BY", "REPOSITORY"}
	if !several {
		heading = heading[:6]
	}
	t.add(heading...)
	for _, b := range shown {
		by := "schedule " + b.Schedule
		if b.Backup != "" {
			by = "Backup " + b.Backup
		}
		if b.Schedule+b.Backup == "" {
			by = "-"
		}
		if b.Unreadable {
			by += " (unreadable)"
		}
		cells := []string{b.ID[:shownID], b.Time.Format(time.RFC3339), age(time.Duration(b.AgeSeconds) * time.Second), b.Volume, bytes(b.Size), by, b.Repository}
		t.add(cells[:len(heading)]...)
	}
	return t.write(out, screenFor(out, colourAuto), func(int, string) colour { return plain })
}

// shownID is how much of an ID is shown, as restic does.
const shownID = spec.MinBackupID
