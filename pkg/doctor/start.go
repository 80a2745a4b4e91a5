package doctor

import (
	"context"
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// AtStart are the checks that the agent makes when it starts, as sentences: warnings of what endangers
// what it exports, and notes. It starts a few processes. The error is what could not be checked.
func AtStart(ctx context.Context, h host.Host, set spec.Set) (warnings, notes []string, err error) {
	f := Facts{Set: set}
	if f.LVM.Config, err = readLVMConfig(ctx, h); err != nil {
		err = fmt.Errorf("cannot check whether LVM scans exported volumes: %w", err)
	}
	for _, found := range checkScanLVs(f) {
		warnings = append(warnings, fmt.Sprintf("%s: %s. To correct it: %s", found.Text, found.Consequence, found.Command))
	}
	for _, r := range CheckTools(ctx, h, set) {
		if r.Warning {
			warnings = append(warnings, r.Sentence())
		} else {
			notes = append(notes, r.Sentence())
		}
	}
	return warnings, notes, err
}
