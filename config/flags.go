package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// AddFlags adds a flag for every setting: for a secret one that names its file. Only flags that are given count, so
// the defaults stand in the help text alone.
func AddFlags(flags *pflag.FlagSet) {
	for _, s := range settings {
		addFlag(flags, s)
	}
}

// AddFlagsFor adds the flags of those settings only that the given parts demand.
func AddFlagsFor(flags *pflag.FlagSet, needs Need) {
	for _, s := range settings {
		if s.need&needs != 0 {
			addFlag(flags, s)
		}
	}
}

func addFlag(flags *pflag.FlagSet, s setting) {
	if s.redact != nil {
		flags.String(flagName(s.key+fileSuffix), "", fmt.Sprintf("file that holds %s: %s (or %s, %s)",
			s.key, s.help, envName(s.key), envName(s.key+fileSuffix)))
	}
	if s.noFlag {
		return
	}
	help := s.help
	if s.def != "" {
		help += fmt.Sprintf(" (default %s)", s.def)
	}
	flags.String(flagName(s.key), "", fmt.Sprintf("%s (or %s)", help, envName(s.key)))
}
