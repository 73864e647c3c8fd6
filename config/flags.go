package config

import (
	"fmt"
	"strings"

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

// AddFlagsUnder adds the flags of those settings only whose keys begin with the prefix, such as "telemetry.".
func AddFlagsUnder(flags *pflag.FlagSet, prefix string) {
	for _, s := range settings {
		if strings.HasPrefix(s.key, prefix) {
			addFlag(flags, s)
		}
	}
}

func addFlag(flags *pflag.FlagSet, s setting) {
	if s.fromFile() {
		flags.String(flagName(s.key+fileSuffix), "", fmt.Sprintf("`file` that holds %s (or %s)", s.key, envName(s.key+fileSuffix)))
	}
	if s.noFlag {
		return
	}
	def := ""
	if s.def != "" {
		def = "; default " + s.def
	}
	flags.String(flagName(s.key), "", fmt.Sprintf("%s (or %s%s)", s.help, envName(s.key), def))
}

// Description is what there is to know about a setting.
type Description struct {
	Key      string `json:"key"`
	Variable string `json:"variable"`
	Flag     string `json:"flag"`      // empty: a secret or a value of many lines, which has no flag of its own
	FileFlag string `json:"file_flag"` // for those: the flag that names its file; the variable and the key have the same with _FILE, _file
	Default  string `json:"default"`
	Help     string `json:"meaning"`
	Allowed  string `json:"allowed"`
}

// Describe describes all settings, for the documentation.
func Describe() []Description {
	all := make([]Description, 0, len(settings))
	for _, s := range settings {
		d := Description{Key: s.key, Variable: envName(s.key), Default: s.def, Help: s.help, Allowed: s.want}
		if !s.noFlag {
			d.Flag = "--" + flagName(s.key)
		}
		if s.fromFile() {
			d.FileFlag = "--" + flagName(s.key+fileSuffix)
		}
		all = append(all, d)
	}
	return all
}
