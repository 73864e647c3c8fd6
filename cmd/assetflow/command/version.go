package command

import (
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the program's version",
		Long:    "Shows the version of this program, of the Go that it was built with, and the platform.",
		Example: "  assetflow version -o json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return a.emit(v, func(s *sheet) {
				s.line("assetflow %s (%s, %s)", v.Version, v.Go, v.Platform)
			})
		},
	}
}
