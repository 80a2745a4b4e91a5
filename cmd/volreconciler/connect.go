package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/volreconciler/volreconciler/pkg/connect"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// connectOptions are the flags of connect alone.
type connectOptions struct {
	export      string
	initiator   string
	multipath   bool
	showSecrets bool
	format      string
	firstLUN    int // that of [connect.Request]
}

func newConnectCommand() *cobra.Command {
	s := newSettings()
	o := connectOptions{format: "json"}
	cmd := &cobra.Command{
		Use:   "connect EXPORT --initiator NAME",
		Short: "Print the connection data of an Export for an initiator",
		Long: `Print the connection data of an Export of this node for an initiator. connect changes
nothing: the spec files set which initiators may connect. It reads the files and the
node, or with --node a captured node.

With -o json it prints a list with one OpenStack Cinder connection_info per visible LUN:
driver_volume_type (iscsi, iser, nvmeof or fibre_channel) and data. With -o sh it prints a
shell script with iscsiadm or nvme commands, to run as root on the initiator; it can be
repeated.

The script reads passwords on the initiator from files, by default of the same path as on
the node; CHAP_PASSWORD_FILE and MUTUAL_PASSWORD_FILE (NVMe: DHCHAP_SECRET_FILE and
DHCHAP_CTRL_SECRET_FILE) set other paths. Passwords never become arguments of a command.

A portal with a wildcard address is printed with each --address, by default with the global
unicast addresses of all interfaces that are up.

Exit status: 0; 1 if the initiator may not connect, a volume does not exist yet, or the
command is wrong.`,
		Example: `  volreconciler connect db --initiator iqn.1993-08.org.debian:01:db-host
  volreconciler connect db --initiator iqn.1993-08.org.debian:01:db-host --multipath -o sh >connect-db.sh`,
		SuggestFor: []string{"login"},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("write the name of one Export, for example: connect db; see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.export = args[0]
			s.planNode()
			return s.connect(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return suggestExports(s), cobra.ShellCompDirectiveNoFileComp
		},
	}
	s.forCommand(cmd, "specs", "target-prefix", "state-dir", "backend", "tgt-socket", "node", "address")
	cmd.Flags().StringVar(&o.initiator, "initiator", "", "`name` of the initiator: its IQN, NQN or WWPN, for example iqn.1993-08.org.debian:01:db-host (required)")
	cmd.Flags().BoolVar(&o.multipath, "multipath", false, "print all portals of the Export (default: only the first)")
	cmd.Flags().BoolVar(&o.showSecrets, "show-secrets", false, "print the passwords (default: false, they are not printed)")
	outputFlag(cmd, &o.format, "json", "sh")
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("initiator", func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return suggestInitiators(s, args), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (s *settings) connect(ctx context.Context, o connectOptions, stdout, stderr io.Writer) error {
	if o.showSecrets && s.backend == backendFake {
		return errors.New("--show-secrets cannot be used with --node: a captured node has no passwords")
	}
	desired, observed, plan, err := s.makePlan(ctx)
	if err != nil {
		return err
	}
	at, err := s.reachableAt()
	if err != nil {
		return err
	}
	if s.backend == backendTGT {
		o.firstLUN = int(observe.TGTLUN(0))
	}
	return o.show(desired, observed, plan, at, stdout, stderr)
}

// show writes what the initiator needs, given what there is.
func (o connectOptions) show(desired spec.Set, observed observe.State, plan plan.Plan, at addresses, stdout, stderr io.Writer) error {
	export, err := exportNamed(o.export, desired, stderr)
	if err != nil {
		return err
	}
	connection, err := connect.Resolve(connect.Request{
		Export: export, Initiator: o.initiator, Multipath: o.multipath, ShowSecrets: o.showSecrets,
		Addresses: at, LUNs: lunsOf(export, desired, observed, plan), FirstLUN: o.firstLUN,
	})
	switch {
	case errors.Is(err, connect.ErrNoAddress):
		return fmt.Errorf("%w; set one with --address", err)
	case errors.Is(err, connect.ErrNotThere) && observed.Err() != nil:
		return fmt.Errorf("%w (a part of the node cannot be read: %w)", err, observed.Err())
	case errors.Is(err, connect.ErrNotThere), errors.Is(err, connect.ErrNotShown):
		return fmt.Errorf("%w; see volreconciler plan", err)
	case err != nil:
		return err
	}
	remarks(stderr, o, connection, plan)
	if o.format == "sh" {
		_, err := io.WriteString(stdout, connection.Script())
		return err
	}
	return writeJSON(stdout, connection.Infos())
}

// reachableAt are the node's addresses for initiators. Those of a captured node are
// not known.
func (s *settings) reachableAt() (addresses, error) {
	if len(s.addresses) > 0 || s.backend == backendFake {
		return s.addresses, nil
	}
	return addressesOfInterfaces()
}

// exportNamed returns an Export. If it is not declared, that may be due to what is
// wrong with the files, which is written then.
func exportNamed(name string, desired spec.Set, stderr io.Writer) (spec.Export, error) {
	if export, ok := desired.Exports[name]; ok {
		return export, nil
	}
	if err := desired.Invalid[spec.ID{Kind: spec.KindExport, Name: name}]; err != nil {
		return spec.Export{}, fmt.Errorf("%s is invalid: %w", spec.ID{Kind: spec.KindExport, Name: name}, err)
	}
	writeFindings(stderr, status.Findings(desired.Findings))
	names := slices.Sorted(maps.Keys(desired.Exports))
	if len(names) == 0 {
		return spec.Export{}, fmt.Errorf("%s is not declared; the spec files declare no Export", spec.ID{Kind: spec.KindExport, Name: name})
	}
	return spec.Export{}, fmt.Errorf("%s is not declared; declared Exports: %s", spec.ID{Kind: spec.KindExport, Name: name}, strings.Join(names, ", "))
}

// lunsOf returns the LUNs of an Export as they are on the node. The plan knows which
// logical volume an object has.
func lunsOf(export spec.Export, desired spec.Set, observed observe.State, plan plan.Plan) []connect.LUN {
	var luns []connect.LUN
	for _, l := range export.Spec.LUNs {
		lun := connect.LUN{Object: l.Backing(), Number: *l.Number, ReadOnly: l.ReadOnly, Discard: isThin(l.Backing(), desired)}
		if o, ok := objectOf(lun.Object, plan); ok {
			if status := volumeOf(o); status != nil {
				lun.Size, lun.WWN, lun.UUID = status.Size, status.WWN, status.NamespaceUUID
				lun.Instead = shownInstead(export.Spec.Target, *l.Number, *status, observed)
			}
		}
		luns = append(luns, lun)
	}
	return luns
}

// shownInstead returns what a target has under a number if it is something else than the volume; empty
// if it is the volume, or nothing.
func shownInstead(target string, number int, volume status.Volume, observed observe.State) string {
	for _, id := range observed.TargetIDs() {
		t, _ := observed.Target(id)
		l, there := t.LUNs[number]
		if id.Name != target || !there {
			continue
		}
		b := observed.LIO.Backstores[l.Backstore]
		shown, name := cmp.Or(b.Serial, l.Identity), cmp.Or(l.Device, l.Backstore)
		if owner, ours := b.Owner(); ours {
			name = owner.String()
		}
		if shown != "" && shown != volume.Serial && shown != volume.NamespaceUUID {
			return name
		}
	}
	return ""
}

func objectOf(id spec.ID, plan plan.Plan) (status.Object, bool) {
	i := slices.IndexFunc(plan.Objects, func(o status.Object) bool { return o.ID() == id })
	if i < 0 {
		return status.Object{}, false
	}
	return plan.Objects[i], true
}

// isThin reports whether a Volume or Snapshot is in a thin pool: discards reach
// those, and no others.
func isThin(id spec.ID, desired spec.Set) bool {
	volume := id.Name
	if id.Kind == spec.KindSnapshot {
		volume = desired.Snapshots[id.Name].Spec.Volume
	}
	return desired.Pools[desired.Volumes[volume].Spec.Pool].Spec.ThinPool != nil
}

// remarks writes what is not part of the output: hints for people, whose loss does no harm.
func remarks(w io.Writer, o connectOptions, c connect.Connection, plan plan.Plan) {
	if export, ok := objectOf(spec.ID{Kind: spec.KindExport, Name: o.export}, plan); ok && export.Phase != status.Ready {
		_, _ = fmt.Fprintf(w, "Export %s is not Ready: %s (%s) %s\n", o.export, export.Phase, export.Reason, oneLine(export.Message))
	}
	if o.format == "json" && c.HasPassword() && !o.showSecrets {
		_, _ = fmt.Fprintln(w, "Passwords are not printed; use --show-secrets to print them.")
	}
}
