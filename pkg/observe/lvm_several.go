package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// ReadLVs reads logical volumes of one volume group in one report, as [ReadLV] does each. Those that
// the volume group does not hold are not in the result, which is by name.
func ReadLVs(ctx context.Context, run host.Runner, vg string, names ...string) (map[string]LogicalVolume, error) {
	rows, err := reportLVs(ctx, run, vg, names...)
	if err != nil && !LVMissing(err) { // of what is missing LVM complains, and reports the others
		return nil, err
	}
	all := make(map[string]LogicalVolume, len(rows))
	for _, row := range rows {
		lv, err := row.parse(vg)
		if err == nil && !slices.Contains(names, lv.Name) { // LVM takes a UUID for a name
			err = fmt.Errorf("its UUID is %s", strings.Join(names, " or "))
		}
		if err == nil && row.MissingPVs != "" {
			lv.MissingPVs, err = strconv.Atoi(row.MissingPVs)
		}
		if err != nil {
			return nil, fmt.Errorf("lvs %s/%s: %w", vg, row.Name, err)
		}
		all[lv.Name] = lv
	}
	if err == nil && len(all) < len(names) {
		return nil, fmt.Errorf("lvs %s: the report lacks %d of %d logical volumes", vg, len(names)-len(all), len(names))
	}
	return all, nil
}

// ClearsNewBlocks reports whether a thin pool overwrites newly allocated blocks with zeroes, so that nothing
// of what they held before is ever read.
func ClearsNewBlocks(ctx context.Context, run host.Runner, vg, pool string) (bool, error) {
	rows, err := reportLVs(ctx, run, vg, pool)
	if err != nil {
		return false, err
	}
	// The same letter as that of its volumes: LVM shows the pool's.
	return len(rows) == 1 && len(rows[0].Attr) > 7 && rows[0].Attr[0] == 't' && rows[0].Attr[7] == 'z', nil
}

// reportLVs returns what lvs reports of logical volumes. If LVM does not find all of them, there is an
// error besides.
func reportLVs(ctx context.Context, run host.Runner, vg string, names ...string) ([]singleRow, error) {
	argv := []string{"lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields[singleRow]()}
	for _, name := range names {
		argv = append(argv, vg+"/"+name)
	}
	out, failed := run.Run(ctx, argv...)
	if failed != nil && (!LVMissing(failed) || len(out.Stdout) == 0) {
		return nil, failed
	}
	rows, err := parseLVs(out.Stdout)
	if err != nil {
		return nil, fmt.Errorf("lvs %s: %w", vg, err)
	}
	return rows, failed
}

// parseLVs returns the logical volumes that lvs printed.
func parseLVs(data []byte) ([]singleRow, error) {
	var r struct {
		Report []struct {
			LV []singleRow `json:"lv"`
		} `json:"report"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	var rows []singleRow
	for _, part := range r.Report {
		rows = append(rows, part.LV...)
	}
	return rows, nil
}
