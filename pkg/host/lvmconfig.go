package host

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// lvmSetting is a key of lvm.conf(5) that changes what LVM prints.
type lvmSetting struct {
	key string
	// process is the value, as lvm.conf has it, for a report that is a process of its
	// own; shell is the one for LVM's shell, if that is another.
	process, shell string
	// always is true if it concerns what other commands than reports print as well.
	always bool
}

// lvmSettings are all that change a report, or whether one can be made at all. The
// administrator's lvm.conf, lvmlocal.conf, host tags and profiles may set them as
// they please: what the agent reads is the same.
//
// LVM 2.03.16 knows every one of them. A key that LVM does not know costs a warning,
// and the command where lvm.conf has config/abort_on_errors.
var lvmSettings = []lvmSetting{
	// The shell's answers say in their log how the command ended: the last status does.
	// Its context is not asked for, because after a vgchange or pvchange with a selection
	// (-S) LVM takes it for that of a part of the command, for as long as the shell lives;
	// nor are the names of objects, which are wrong then. For reports that are
	// processes, versions from 2.03.24 on have the log by default.
	{key: "log/report_command_log", process: "0", shell: "1", always: true},
	{key: "log/command_log_sort", process: `"log_seq_num"`},
	{key: "log/command_log_cols", process: `"log_seq_num,log_type,log_message,log_ret_code"`},
	// The rest of the log is asked for with lastlog, where it is needed.
	{key: "log/command_log_selection", process: `"all"`, shell: `"log_type=status"`},

	// These are put before every line, those of a report too.
	{key: "log/command_names", process: "0", always: true},
	{key: "log/prefix", process: `"  "`, always: true},
	{key: "log/indent", process: "1"},

	{key: "log/verbose", process: "0"},
	{key: "log/silent", process: "0"}, // on the command line it comes too late, but changes no report

	// Where LVM does not know it, as 2.03.16 does not know json_std, no command works.
	// For a process --reportformat comes before it.
	{key: "report/output_format", process: `"basic"`, shell: `"json"`, always: true},
	{key: "report/compact_output", process: "0"},
	{key: "report/compact_output_cols", process: `""`},
	{key: "report/aligned", process: "1"},
	{key: "report/buffered", process: "1"},
	{key: "report/headings", process: "1"},
	{key: "report/separator", process: `" "`},
	{key: "report/list_item_separator", process: `","`},
	{key: "report/prefixes", process: "0"},
	{key: "report/quoted", process: "1"},
	{key: "report/columns_as_rows", process: "0"},
	{key: "report/binary_values_as_numeric", process: "0"},
	{key: "report/time_format", process: `"%s"`},
	{key: "report/mark_hidden_devices", process: "1"},
	{key: "report/two_word_unknown_device", process: "0"},

	// LVM refuses a report for a field that is not one, be it only among those by which
	// it sorts.
	{key: "report/lvs_sort", process: `"vg_name,lv_name"`},
	{key: "report/vgs_sort_full", process: `"vg_name"`},
	{key: "report/pvs_sort_full", process: `"pv_name"`},
	{key: "report/lvs_sort_full", process: `"vg_name,lv_name"`},
	{key: "report/pvsegs_sort_full", process: `"pv_uuid,pvseg_start"`},
	{key: "report/segs_sort_full", process: `"lv_uuid,seg_start"`},
	{key: "report/pvs_cols_full", process: `"pv_uuid"`},
	{key: "report/pvsegs_cols_full", process: `"pv_uuid"`},
	{key: "report/segs_cols_full", process: `"lv_uuid"`},

	{key: "global/units", process: `"b"`},
	{key: "global/si_unit_consistency", process: "1"},
	{key: "global/suffix", process: "0"},
}

// lvmIrrelevant are the keys of the sections log and report that change nothing in
// what is read, and so are left to the administrator.
var lvmIrrelevant = []string{
	// where a copy of the messages is written, and how much of them
	"log/syslog", "log/file", "log/activate_file", "log/journal", "log/overwrite", "log/level", "log/activation",
	"log/debug_classes", "log/debug_file_fields", "log/debug_output_fields",
	// what is reported if -o does not say it
	"report/lvs_cols", "report/lvs_cols_verbose", "report/lvs_cols_full", "report/vgs_cols_full",
	// reports that are never asked for
	"report/devtypes_sort", "report/devtypes_cols", "report/devtypes_cols_verbose",
	"report/vgs_sort", "report/vgs_cols", "report/vgs_cols_verbose",
	"report/pvs_sort", "report/pvs_cols", "report/pvs_cols_verbose",
	"report/segs_sort", "report/segs_cols", "report/segs_cols_verbose",
	"report/pvsegs_sort", "report/pvsegs_cols", "report/pvsegs_cols_verbose",
}

// lvmReportConfig is the value of --config that overrides all of them, lvmOtherConfig of
// those alone that concern what is no report: its text, and where its errors are.
var lvmReportConfig, lvmOtherConfig = func() (all, other string) {
	for _, s := range lvmSettings {
		all += s.key + "=" + s.process + " "
		if s.always {
			other += s.key + "=" + s.process + " "
		}
	}
	return strings.TrimSpace(all), strings.TrimSpace(other)
}()

// lvmShellConfig are the lines that do so in an lvm.conf.
var lvmShellConfig = func() string {
	var b strings.Builder
	for _, s := range lvmSettings {
		b.WriteString(s.key + " = " + cmp.Or(s.shell, s.process) + "\n")
	}
	return b.String()
}()

var (
	lvmReports = []string{"lvs", "vgs", "pvs", "fullreport"}
	lvmOthers  = []string{"lvcreate", "lvchange", "lvconvert", "lvextend", "lvremove", "lvrename", "vgmknodes", "lvmconfig"}
)

// lvmProcess returns the arguments with which an LVM command is run as a process, so that
// lvm.conf(5) changes nothing in what it prints, and whether it is a report. Other
// commands are left as they are.
func lvmProcess(argv []string) (args []string, report bool) {
	n := 0
	if len(argv) > 1 && filepath.Base(argv[0]) == "lvm" {
		n = 1
	}
	config, name := lvmOtherConfig, filepath.Base(argv[n])
	if report = slices.Contains(lvmReports, name); report {
		config = lvmReportConfig
	} else if !slices.Contains(lvmOthers, name) {
		return argv, false
	}
	args = slices.Clone(argv)
	// LVM takes the option once.
	if i := slices.Index(args, "--config"); i >= 0 && i+1 < len(args) {
		args[i+1] = config + " " + args[i+1]
		return args, report
	}
	return slices.Insert(args, n+1, "--config", config), report
}

// InLVMShell returns a command line as LVM's shell takes it, whose configuration says
// what form its reports have: of the option for that LVM 2.03.16 takes no notice, and
// 2.03.31 refuses the command.
func InLVMShell(argv []string) []string {
	i := slices.Index(argv, "--reportformat")
	if i < 0 || i+1 >= len(argv) {
		return argv
	}
	return slices.Delete(slices.Clone(argv), i, i+2)
}
