// Command demo-regions shows how a digital asset is copied from one region to another: it starts two development stacks
// as two processes that share nothing but a key ring, makes an asset with files in one, copies it to the other with the
// command line, compares the files, and ends both. It needs no network, takes free ports, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const help = `Shows how a digital asset is copied from one region to another, with two regions on this machine.

Each region is a development stack (assetflow-dev) with a folder and ports of its own; all that they share is a key ring.
What is typed after a $ is the command line, as you would type it. Ctrl-C ends everything.

`

// options say how the demonstration runs.
type options struct {
	bin  string // the folder with assetflow and assetflow-dev
	size int64  // of the asset's main file, in bytes
	stay bool   // let the regions run until Ctrl-C
}

func main() {
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}

// command runs the demonstration and gives the exit code of the process.
func command(args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, hurry, stop := untilSignals()
	defer stop()
	err = run(ctx, hurry, opts, stdout, stderr)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		_, _ = fmt.Fprintln(stderr, "demo-regions: interrupted; both regions have ended and nothing is left")
		return 130
	}
	_, _ = fmt.Fprintln(stderr, "demo-regions:", err)
	return 1
}

func parse(args []string, stderr io.Writer) (options, error) {
	var (
		opts options
		mib  int64
	)
	flags := flag.NewFlagSet("demo-regions", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, help)
		flags.PrintDefaults()
	}
	flags.StringVar(&opts.bin, "bin", "", "`folder` with assetflow and assetflow-dev (default: that of this program)")
	flags.Int64Var(&mib, "size", 64, "size of the asset's main file in `MiB`")
	flags.BoolVar(&opts.stay, "stay", false, "let the regions run until Ctrl-C, to look around")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	opts.size = mib << 20
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("demo-regions takes no arguments, got %q", flags.Arg(0))
	case mib < 1 || mib > 5<<10:
		err = fmt.Errorf("--size %d: a file has from 1 to %d MiB", mib, 5<<10)
	case opts.bin == "":
		var self string
		self, err = os.Executable()
		opts.bin = filepath.Dir(self)
	default:
		opts.bin, err = filepath.Abs(opts.bin)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
	}
	return opts, err
}

// untilSignals gives contexts that end with the first signal to stop, and with the second: whoever presses Ctrl-C again
// does not want to wait, but nothing may be left running all the same.
func untilSignals() (ctx, hurry context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	hurry, cancelHurry := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		for _, end := range []context.CancelFunc{cancel, cancelHurry} {
			select {
			case <-signals:
				end()
			case <-ended:
				return
			}
		}
	}()
	return ctx, hurry, func() {
		signal.Stop(signals)
		close(ended)
		cancel()
		cancelHurry()
	}
}
