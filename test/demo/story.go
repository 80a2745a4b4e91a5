package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What the story is about: an Export of the examples, and its file.
const (
	exportFile = "2-export.yaml"
	target     = "iqn.2026-11.io.volreconciler:db"
	sizeBefore = "512Mi"
	sizeAfter  = "768Mi"
)

var (
	exportID = spec.ID{Kind: spec.KindExport, Name: "db"}
	volumeID = spec.ID{Kind: spec.KindVolume, Name: "db-data"}
)

// story shows what the agent does, step by step. startAgent is called when it is its turn.
func (d *demo) story(ctx context.Context, startAgent func()) error {
	steps := []step{d.emptyDisk(), d.plan(), d.converge(startAgent)}
	if _, err := os.Stat(filepath.Join(d.dir, exportFile)); err == nil {
		steps = append(steps, d.wrongPassword(), d.useDisk(), d.drift(), d.grow(), d.brokenFile(), d.keepInUse(), d.endSession(), d.comeBack())
	} else {
		d.say("There is no %s in these specs: the steps with an initiator are left out.", exportFile)
	}
	for _, s := range steps {
		if err := d.tell(ctx, s); err != nil {
			return errors.Join(err, fmt.Errorf("the end of the agent's log:\n%s", d.log.last(5)))
		}
	}
	_, _ = fmt.Fprintf(d.out, "\nAll %d steps were as expected.\n", d.steps)
	return nil
}

func (d *demo) emptyDisk() step {
	return step{
		title: "A node with an empty disk", does: "vgcreate vg0 /dev/vda", expects: "an empty volume group, which a Pool needs to exist",
		try: func(ctx context.Context) (string, error) {
			if err := d.sh(ctx, "vgcreate -qq vg0 /dev/vda"); err != nil {
				return "", err
			}
			volumes, err := d.output(ctx, "vgs --noheadings -o lv_count vg0")
			if err == nil && volumes != "0" {
				err = errors.New("it is not empty")
			}
			return fmt.Sprintf("vg0 with %s logical volumes", volumes), err
		},
	}
}

func (d *demo) plan() step {
	return step{
		title: "What would the files change?", does: "volreconciler plan --specs /specs",
		expects: "objects to create, none to change or to remove, and nothing done yet; what needs another object is blocked until that is there",
		try: func(ctx context.Context) (string, error) {
			r, err := d.vm.Run(ctx, "volreconciler", "plan", "--specs", "/specs/current")
			if err != nil {
				return "", err
			}
			lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
			sum := lines[len(lines)-1]
			if r.ExitCode != 2 || !strings.Contains(sum, ", 0 to change, 0 to remove") {
				return sum, fmt.Errorf("exit status %d: %s", r.ExitCode, r.Stderr)
			}
			volumes, err := d.output(ctx, "vgs --noheadings -o lv_count vg0")
			if err == nil && volumes != "0" {
				err = errors.New("there are logical volumes already")
			}
			return sum + "\nvg0 is still empty", err
		},
	}
}

func (d *demo) converge(startAgent func()) step {
	return step{
		title: "The agent does it", does: "volreconciler run --specs /specs", expects: "every declared object becomes Ready, within 4 minutes",
		try: func(ctx context.Context) (string, error) {
			startAgent()
			saw, err := d.until(ctx, 4*time.Minute, func(r status.Report) (string, bool) {
				return sumOf(r), len(r.Objects) > 0 && !r.Time.IsZero() && len(notReady(r)) == 0 && len(r.Findings) == 0
			})
			d.quote(d.log.lines(`^(Volume/db-data|Export/db): `))
			return saw, err
		},
	}
}

func (d *demo) drift() step {
	return step{
		title: "Somebody changes something by hand", does: "echo 0 > /sys/kernel/config/target/iscsi/" + target + "/tpgt_1/enable",
		expects: "the agent enables the target again, within a minute",
		try: func(ctx context.Context) (string, error) {
			enable := "/sys/kernel/config/target/iscsi/" + target + "/tpgt_1/enable"
			err := d.sh(ctx, "echo 0 > "+enable+` && for i in $(seq 600); do [ "$(cat `+enable+`)" = 0 ] || exit 0; sleep 0.1; done; echo "it is still disabled" >&2; exit 1`)
			if err != nil {
				return "", err
			}
			if _, err := d.until(ctx, 30*time.Second, func(status.Report) (string, bool) {
				return "no DriftCorrected in the log", len(d.log.lines(`^Export/db: .*DriftCorrected`)) > 0
			}); err != nil {
				return "", err
			}
			d.quote(d.log.lines(`^Export/db: .*DriftCorrected`))
			return "the target is enabled, and the log says why", nil
		},
	}
}

func (d *demo) grow() step {
	return step{
		title: "A bigger size in the file", does: fmt.Sprintf("size: %s becomes %s in %s, while the initiator is logged in", sizeBefore, sizeAfter, exportFile),
		expects: "the initiator's disk grows without a new login, and its data is kept",
		try: func(ctx context.Context) (string, error) {
			before, err := d.initiator(ctx, "login; sizeOf")
			if err != nil {
				return "", err
			}
			if err := d.edit(ctx, exportFile, func(text string) string { return strings.ReplaceAll(text, sizeBefore, sizeAfter) }); err != nil {
				return "", err
			}
			after := before
			for end := time.Now().Add(time.Minute); err == nil && after == before && time.Now().Before(end); {
				after, err = d.initiator(ctx, "rescan; sleep 0.5; sizeOf")
			}
			if err != nil {
				return "", err
			}
			said, err := d.initiator(ctx, "readFile")
			saw := fmt.Sprintf("the disk had %s MiB and has %s MiB; on it: %q", before, after, said)
			if err == nil && (before != "512" || after != "768" || said != greeting) {
				err = errors.New("it should have had 512 MiB, and 768 now, and what was written")
			}
			return saw, err
		},
	}
}

func (d *demo) brokenFile() step {
	const file = "broken.yaml"
	return step{
		title: "A file with a mistake", does: "adds " + file + ", in which a Volume has the size \"plenty\"",
		expects: "a finding with file and line; nothing on the node changes",
		try: func(ctx context.Context) (string, error) {
			before, err := d.report(ctx)
			if err != nil {
				return "", err
			}
			text := "apiVersion: volreconciler/v1alpha1\nkind: Volume\nmetadata: {name: broken}\nspec: {pool: fast, size: plenty}\n"
			if err := d.edit(ctx, file, func(string) string { return text }); err != nil {
				return "", err
			}
			saw, err := d.until(ctx, time.Minute, func(r status.Report) (string, bool) {
				if len(r.Findings) == 0 {
					return "no finding", false
				}
				f := r.Findings[0]
				ready := len(r.Objects) - len(notReady(r))
				return fmt.Sprintf("%s:%d:%d: %s: %s\n%d objects are still Ready", filepath.Base(f.File), f.Line, f.Column, f.Path, f.Message, ready),
					ready == len(before.Objects) && f.Line == 4
			})
			return saw, errors.Join(err, d.remove(ctx, file))
		},
	}
}

func (d *demo) keepInUse() step {
	return step{
		title: "The Export is removed from its file while somebody uses it", does: "removes the Export from " + exportFile,
		expects: "Blocked: SessionsActive, and the initiator can still read",
		try: func(ctx context.Context) (string, error) {
			if err := d.edit(ctx, exportFile, func(text string) string { d.removed = text; return withoutExport(text) }); err != nil {
				return "", err
			}
			saw, err := d.until(ctx, time.Minute, func(r status.Report) (string, bool) {
				o, _ := r.Object(exportID)
				return fmt.Sprintf("%s is %s (%s): %s", exportID, o.Phase, o.Reason, o.Message), o.Phase == status.Blocked && o.Reason == status.ReasonSessionsActive
			})
			if err != nil {
				return saw, err
			}
			said, err := d.initiator(ctx, "readFile")
			if err == nil && said != greeting {
				err = fmt.Errorf("the file says %q", said)
			}
			return saw + fmt.Sprintf("\nthe initiator reads %q", said), err
		},
	}
}

func (d *demo) endSession() step {
	return step{
		title: "The initiator leaves", does: "iscsiadm --logout", expects: "the Export is taken down; the Volume and its data are kept",
		try: func(ctx context.Context) (string, error) {
			if _, err := d.initiator(ctx, "logout"); err != nil {
				return "", err
			}
			return d.until(ctx, time.Minute, func(r status.Report) (string, bool) {
				_, there := r.Object(exportID)
				v, _ := r.Object(volumeID)
				saw := fmt.Sprintf("%s is gone; %s is %s", exportID, volumeID, v.Phase)
				if there {
					saw = fmt.Sprintf("%s is still there", exportID)
				}
				return saw, !there && v.Phase == status.Ready
			})
		},
	}
}

func (d *demo) comeBack() step {
	return step{
		title: "The Export is declared again", does: "writes it into " + exportFile + " again", expects: "the same target, and the same data on its disk",
		try: func(ctx context.Context) (string, error) {
			if err := d.edit(ctx, exportFile, func(string) string { return d.removed }); err != nil {
				return "", err
			}
			if _, err := d.until(ctx, time.Minute, func(r status.Report) (string, bool) {
				o, there := r.Object(exportID)
				return fmt.Sprintf("%s is %s", exportID, o.Phase), there && o.Phase == status.Ready
			}); err != nil {
				return "", err
			}
			said, err := d.initiator(ctx, "login; readFile; logout")
			if err == nil && said != greeting {
				err = errors.New("it should be what was written")
			}
			return fmt.Sprintf("%s: %q", target, said), err
		},
	}
}

// withoutExport removes the Exports from a file. Its other objects stay.
func withoutExport(text string) string {
	var kept []string
	for _, document := range strings.Split(text, "\n---\n") {
		if !strings.Contains("\n"+document, "\nkind: Export\n") {
			kept = append(kept, strings.TrimRight(document, "\n"))
		}
	}
	return strings.Join(kept, "\n---\n") + "\n"
}

// edit changes a file of the specs, and hands them to the agent.
func (d *demo) edit(ctx context.Context, name string, change func(string) string) error {
	path := filepath.Join(d.dir, name)
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.WriteFile(path, []byte(change(string(text))), 0o644); err != nil {
		return err
	}
	return d.sync(ctx)
}

func (d *demo) remove(ctx context.Context, name string) error {
	if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
		return err
	}
	if err := d.sync(ctx); err != nil {
		return err
	}
	_, err := d.until(ctx, time.Minute, func(r status.Report) (string, bool) { return "findings", len(r.Findings) == 0 })
	return err
}

// report asks the agent.
func (d *demo) report(ctx context.Context) (status.Report, error) {
	var report status.Report
	text, err := d.output(ctx, "volreconciler get -o json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &report)
	}
	return report, err
}

// until asks the agent until what is seen is as expected.
func (d *demo) until(ctx context.Context, limit time.Duration, look func(status.Report) (saw string, done bool)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	saw := "the agent does not answer"
	for {
		if r, err := d.report(ctx); err == nil {
			var done bool
			if saw, done = look(r); done {
				return saw, nil
			}
		}
		select {
		case <-ctx.Done():
			return saw, fmt.Errorf("not so after %s", limit)
		case <-d.vm.Done():
			return saw, errors.New("the guest went down")
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func notReady(r status.Report) []status.Object {
	var others []status.Object
	for _, o := range r.Objects {
		if o.Phase != status.Ready {
			others = append(others, o)
		}
	}
	return others
}

// sumOf says how many objects of each kind are Ready, and which are not.
func sumOf(r status.Report) string {
	ready := map[spec.Kind]int{}
	for _, o := range r.Objects {
		if o.Phase == status.Ready {
			ready[o.Kind]++
		}
	}
	var parts []string
	for _, kind := range spec.Kinds() {
		if n := ready[kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, plural(string(kind), n)))
		}
	}
	saw := "Ready: " + strings.Join(parts, ", ")
	for _, o := range notReady(r) {
		saw += fmt.Sprintf("\n%s: %s (%s): %s", o.ID(), o.Phase, o.Reason, o.Message)
	}
	return saw
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
