// Package command is the command line of Assetflow: one file per command. It is apart from main so that tests run it
// as a person does, with arguments, streams and an exit code.
package command

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"assetflow/telemetry"
)

// Version is the program's version. A release sets it with -ldflags "-X assetflow/cmd/assetflow/command.Version=…".
var Version = "dev"

// Run runs the command line with the process's environment and gives its exit code: see the constants of this package.
// When ctx ends the command stops: a service drains and ends well, anything else is interrupted.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{
		stdin: stdin, stdout: stdout, stderr: stderr,
		environ: os.Environ(), configDir: os.UserConfigDir, terminal: telemetry.IsTerminal,
		now: time.Now, location: time.Local,
	}
	return a.run(ctx, args)
}

// app is one run of the command line: all that it touches outside itself, and what its global flags say.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	dir            string // relative paths that are not arguments start here; empty: the working directory
	configDir      func() (string, error)
	terminal       func(stream any) bool
	now            func() time.Time
	location       *time.Location

	output string // outputText or outputJSON
	quiet  bool
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root() //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	ran, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	return a.report(ctx, ran, err)
}

// report says on stderr what went wrong and what to do next, and gives the exit code.
func (a *app) report(ctx context.Context, ran *cobra.Command, err error) int {
	text, hint, code := explain(ctx, ran, err)
	if text != "" {
		a.say("assetflow: %s", text)
	}
	if hint != "" {
		a.say("%s", hint)
	}
	return code
}
