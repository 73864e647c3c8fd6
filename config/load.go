package config

import "github.com/spf13/pflag"

// Need says which parts of the configuration a command works with: only those are demanded.
type Need uint8

// The parts. Combine them with |.
const (
	NeedDatabase  Need = 1 << iota // database.url
	NeedMasterKey                  // master_key
)

// Source is where Load reads from.
type Source struct {
	File    string         // a YAML file; empty: the one ASSETFLOW_CONFIG names, if any
	Environ []string       // "NAME=value", as os.Environ gives them
	Flags   *pflag.FlagSet // may be nil; flags made by AddFlags that were given count
}

// Load reads and checks the settings. Everything that is wrong is reported at once, in one *Error.
func Load(src Source, needs Need) (Config, error) { panic("not built yet") }

// AddFlags adds a flag for every setting that may stand on a command line.
func AddFlags(flags *pflag.FlagSet) { panic("not built yet") }
