package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// ReadLVs reads logical volumes of one volume group in one report, as [ReadLV] does each. Those that
// the volume group does not hold are not in the result, which is by name.
func ReadLVs(ctx context.Context, run host.Runner, vg string, names ...string) (map[string]LogicalVolume, error) {
	argv := []string{"lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields[singleRow]()}
	for _, name := range names {
		argv = append(argv, vg+"/"+name)
	}
	out, err := run.Run(ctx, argv...)
	if err != nil && !LVMissing(err) {
		return nil, err
	}
	// Of what is missing LVM complains, and reports the others.
	rows, err := parseLVs(out.Stdout)
	if err != nil {
		return nil, err
	}
	all := make(map[string]LogicalVolume, len(rows))
	for _, row := range rows {
		lv, err := row.parse(vg)
		if err == nil && row.MissingPVs != "" {
			lv.MissingPVs, err = strconv.Atoi(row.MissingPVs)
		}
		if err != nil {
			return nil, fmt.Errorf("lvs %s/%s: %w", vg, row.Name, err)
		}
		all[lv.Name] = lv
	}
	return all, nil
}

// ClearsNewBlocks reports whether a thin pool overwrites newly allocated blocks with zeroes, so that nothing
// of what they held before is ever read.
func ClearsNewBlocks(ctx context.Context, run host.Runner, vg, pool string) (bool, error) {
	out, err := run.Run(ctx, "lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields[singleRow](), vg+"/"+pool)
	if err != nil {
		return false, err
	}
	rows, err := parseLVs(out.Stdout)
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("the report has no logical volume")
	}
	if err != nil {
		return false, fmt.Errorf("lvs %s/%s: %w", vg, pool, err)
	}
	// The same letter as that of its volumes: LVM shows the pool's.
	return len(rows[0].Attr) > 7 && rows[0].Attr[0] == 't' && rows[0].Attr[7] == 'z', nil
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
