package main

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var _ = Describe("The help of a command", func() {
	const columns = 100
	commands := newRootCommand().Commands()

	It("explains it in lines that fit a terminal, with an example", func() {
		for _, cmd := range append(commands, newRootCommand()) {
			Expect(cmd.Short).NotTo(BeEmpty(), cmd.Name())
			Expect(cmd.Long).NotTo(Equal(cmd.Short), cmd.Name())
			Expect(cmd.Example).To(ContainSubstring("volreconciler"), cmd.Name())
			for line := range strings.Lines(cmd.Long) {
				Expect(len(line)).To(BeNumerically("<=", columns), "%s: %s", cmd.Name(), line)
			}
		}
	})

	It("explains each flag by itself: its values or an example, and a default that is not shown behind it", func() {
		seen := map[string]bool{}
		for _, cmd := range commands {
			for _, f := range flagsOf(cmd) {
				seen[f.Name] = true
				Expect(wrongWith(f)).To(BeEmpty(), "%s --%s: %s", cmd.Name(), f.Name, f.Usage)
			}
		}
		Expect(len(seen)).To(BeNumerically(">", 30))
	})

	It("is wrong if a flag refers to its neighbours, or leaves a question open", func() {
		flag := func(usage, value string) *pflag.Flag {
			set := pflag.NewFlagSet("", pflag.ContinueOnError)
			set.String("x", value, usage)
			return set.Lookup("x")
		}
		Expect(wrongWith(flag("time to wait, for example 5m", "30s"))).To(BeEmpty())
		Expect(wrongWith(flag("time to wait", "30s"))).To(ContainSubstring("example"))
		Expect(wrongWith(flag("password to it alone, for example x", "30s"))).To(ContainSubstring("neighbour"))
		Expect(wrongWith(flag("time to wait, for example 5m", ""))).To(ContainSubstring("default"))
	})
})

func flagsOf(cmd *cobra.Command) (flags []*pflag.Flag) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f) })
	return flags
}

// wrongWith is what is wrong with the help of a flag. Flags are sorted, so it cannot refer to others but by their names.
func wrongWith(f *pflag.Flag) string {
	for _, word := range []string{" these", " those", " it alone", " that alone", " in turn", " the same", " others"} {
		if strings.Contains(f.Usage, word) {
			return "it refers to a neighbour:" + word
		}
	}
	if !strings.Contains(f.Usage, "for example") && !strings.Contains(f.Usage, " or ") && f.Value.Type() != "bool" && f.NoOptDefVal == "" {
		return "it has no example"
	}
	if f.DefValue == "" && !strings.Contains(f.Usage, "default") && !strings.Contains(f.Usage, "required") && f.Name != "output" {
		return "it does not say its default"
	}
	return ""
}
