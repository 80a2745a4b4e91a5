package doctor

import (
	"cmp"
	"slices"
)

// Severity says how bad a finding is.
type Severity string

// The severities, the worst first.
const (
	// Error means that something declared cannot work, or that data is in danger.
	Error Severity = "error"
	// Warning means that something works now, and will not after a reboot, an upgrade or a while.
	Warning Severity = "warning"
	// Note is worth knowing and needs no action.
	Note Severity = "note"
)

// rank orders severities, the worst first.
func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// Finding is one thing that the node lacks, with what follows from it and what mends it.
type Finding struct {
	// ID is the check's, as in docs/doctor.md.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Subject is what it is about: a file, a module, a volume group, a portal, …
	Subject string `json:"subject"`
	Text    string `json:"text"`
	// Consequence is what goes wrong if nothing is done.
	Consequence string `json:"consequence"`
	// Command mends it, or is what to write into which file.
	Command string `json:"command"`
}

// Check is one question about the node.
type Check struct {
	// ID is a name with dashes that does not change between versions.
	ID string
	// Worst is the worst severity of its findings.
	Worst Severity
	// Finds says what is wrong if it finds something, for documentation.
	Finds string

	find func(Facts) []Finding
}

// Diagnose returns the findings of all checks, the worst first.
func Diagnose(f Facts) []Finding { return diagnose(f, Checks()) }

func diagnose(f Facts, checks []Check) []Finding {
	findings := []Finding{}
	for _, c := range checks {
		for _, found := range c.find(f) {
			found.ID = c.ID
			findings = append(findings, found)
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
	return findings
}
