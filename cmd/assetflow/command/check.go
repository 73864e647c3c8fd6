package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
)

// errIncomplete says that the bucket lacks what the catalog needs. What it lacks has been shown already.
var errIncomplete = &silentError{code: ExitFailure}

func (a *app) checkCommand() *cobra.Command {
	var opts serve.ContentOptions
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare the bucket with the catalog",
		Long: `Looks whether everything is in the bucket that the catalog needs: the content of every file of every version, every chart
of the add-on library, and every archive that can be downloaded. Existence and size are compared; with --read every byte is
read and its SHA-256 compared as well, which takes as long as reading the whole bucket. It changes nothing, may run beside
everything else, and is the last step of a restore.

Every object that is missing or damaged is named, and the exit code is 1. Where it says "used", a version, a chart or a
download has lost its content. The others nobody needs now, but they count as stored, so whoever brings the same content next
would not store it. --mend makes all of them count as missing: the same content is stored when it comes again, and importing
a package once more brings back what was lost.

` + settingsHelp,
		Example: `  assetflow check --config /etc/assetflow.yaml
  assetflow check --read -o json
  assetflow check --mend`,
		Args: noArguments,
	}
	flags := addSettings(cmd, allSettings)
	cmd.Flags().BoolVar(&opts.Read, "read", false, "read every byte and compare its digest")
	cmd.Flags().BoolVar(&opts.Mend, "mend", false, "have what is missing or damaged stored again when the same content comes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		return a.withBackends(ctx, flags, config.NeedDatabase, func(b *serve.Backends) error {
			if err := b.Catalog.Ping(ctx); err != nil {
				return err
			}
			report, err := b.CheckContent(ctx, opts)
			if err != nil {
				return err
			}
			if err := a.emit(report, func(s *sheet) { contentSheet(s, report) }); err != nil {
				return err
			}
			if len(report.Findings) > 0 {
				return errIncomplete
			}
			return nil
		})
	}
	return cmd
}

func contentSheet(s *sheet, report serve.ContentReport) {
	for _, f := range report.Findings {
		text := f.What + "  " + f.Key
		if f.Used {
			text += "  used"
		}
		if f.Mended {
			text += "  mended"
		}
		s.line("%s", text)
	}
	looked := fmt.Sprintf("%s and %s, %s", count(report.Blobs, "blob"), count(report.Archives, "archive"), size(report.Bytes))
	if len(report.Findings) == 0 {
		s.line("Everything is there: %s.", looked)
	} else {
		s.line("%s of %s.", count(len(report.Findings), "finding"), looked)
	}
	if report.Unknown > 0 {
		s.line("%s that nothing needs: the sweep takes them in time.", count(report.Unknown, "more blob"))
	}
}
