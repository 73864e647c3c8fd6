package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The regions, and their profiles.
const (
	north = "north"
	south = "south"
)

// demo is one demonstration.
type demo struct {
	options
	dir            string // removed at the end
	stdout, stderr io.Writer
}

// run gives the demonstration. Whatever becomes of it, both regions have ended when it returns. The folder stays only after
// a failure, for its logs.
func run(ctx, hurry context.Context, opts options, stdout, stderr io.Writer) (err error) {
	for _, name := range []string{"assetflow", "assetflow-dev"} {
		if _, err := os.Stat(filepath.Join(opts.bin, name)); err != nil {
			return fmt.Errorf("%w: build it with `make build`, or say with --bin where it is", err)
		}
	}
	d := &demo{options: opts, stdout: stdout, stderr: stderr}
	if d.dir, err = os.MkdirTemp("", "assetflow-regions-"); err != nil { // for nobody else to read
		return err
	}
	var regions [2]*region
	defer func() {
		d.say("\nEnding both regions.")
		err = errors.Join(err, stopAll(hurry, regions[:]...))
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\nthe logs are in %s", err, d.dir)
			return
		}
		if removed := os.RemoveAll(d.dir); removed != nil {
			err = errors.Join(err, removed)
			return
		}
		d.say("Ended; %s is removed.", d.dir)
	}()
	if err := d.start(ctx, &regions); err != nil {
		return err
	}
	if err := d.copy(ctx); err != nil {
		return err
	}
	if d.stay {
		d.look(regions)
		<-ctx.Done()
	}
	return nil
}

func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.stdout, format+"\n", args...) }

// start starts the two regions, and signs the command line in to both.
func (d *demo) start(ctx context.Context, regions *[2]*region) error {
	d.say("1. Two regions, with nothing in common but a key ring\n")
	keyRing := filepath.Join(d.dir, "key-ring.json")
	text, err := d.output(ctx, "key-ring")
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyRing, text, 0o600); err != nil {
		return err
	}
	d.say("   Starting the %s.", north)
	if regions[0], err = startRegion(ctx, d.bin, d.dir, north, keyRing); err != nil {
		return err
	}
	d.say("   Starting the %s.", south)
	// It names the north's object store, from which alone it fetches.
	if regions[1], err = startRegion(ctx, d.bin, d.dir, south, keyRing, regions[0].addresses.S3Endpoint); err != nil {
		return err
	}
	for _, r := range regions {
		d.say("   %-6s API %s, S3 %s, Temporal UI %s (process %d)", r.name,
			r.addresses.Endpoint, r.addresses.S3Endpoint, r.addresses.TemporalUI, r.cmd.Process.Pid)
	}
	d.say("")
	for _, r := range regions {
		if err := d.assetflow(ctx, "login", "--profile", r.name, "--credentials", filepath.Join(r.name, "credentials.json")); err != nil {
			return err
		}
	}
	return nil
}

// copy makes an asset in the north, copies it to the south, and compares.
func (d *demo) copy(ctx context.Context) error {
	files := map[string]int64{"ava.mp4": d.size, "cover.png": 200 << 10, "script.txt": 1 << 10}
	source := filepath.Join(d.dir, "files")
	if err := os.Mkdir(source, 0o700); err != nil {
		return err
	}
	for name, size := range files {
		if err := writeFile(ctx, filepath.Join(source, name), size); err != nil {
			return err
		}
	}
	d.say("\n2. A digital asset with three files in the north\n")
	for _, args := range [][]string{
		{"asset", "create", "Ava", "--type", "VIDEO", "--tag", "demo", "--profile", north},
		{"asset", "upload", "Ava", "files/ava.mp4", "--profile", north},
		{"asset", "upload", "Ava", "files/cover.png", "--category", "COVER", "--profile", north},
		{"asset", "upload", "Ava", "files/script.txt", "--category", "OTHER", "--profile", north},
	} {
		if err := d.assetflow(ctx, args...); err != nil {
			return err
		}
	}
	d.say("\n3. The south copies it, straight from the north's object store\n")
	begin := time.Now()
	if err := d.assetflow(ctx, "asset", "copy", "Ava", "--from", north, "--to", south); err != nil {
		return err
	}
	d.say("   (%s for everything)", time.Since(begin).Round(10*time.Millisecond))
	if err := d.assetflow(ctx, "asset", "show", "--digital", "Ava", "--profile", south); err != nil {
		return err
	}
	d.say("\n4. What the south has is what the north has\n")
	copied := filepath.Join(d.dir, "copied")
	if err := d.assetflow(ctx, "asset", "download", "Ava", "--dir", "copied", "--profile", south); err != nil {
		return err
	}
	if err := d.compare(source, copied, "ava.mp4", "cover.png", "script.txt"); err != nil {
		return err
	}
	d.say("\n5. Copied again, it is equal already\n")
	return d.assetflow(ctx, "asset", "copy", "Ava", "--from", north, "--to", south)
}

// compare compares the digests of files in two folders.
func (d *demo) compare(source, copied string, names ...string) error {
	d.say("")
	for _, name := range names {
		there, err := digest(filepath.Join(source, name))
		if err != nil {
			return err
		}
		here, err := digest(filepath.Join(copied, name))
		if err != nil {
			return err
		}
		if here != there {
			return fmt.Errorf("%s differs: SHA-256 %s in the north, %s in the south", name, there, here)
		}
		d.say("   %-10s  SHA-256 %s  equal", name, here)
	}
	left, err := os.ReadDir(copied)
	if err == nil && len(left) != len(names) {
		err = fmt.Errorf("the copy has %d files instead of %d", len(left), len(names))
	}
	return err
}

// look says how to go on in a second terminal.
func (d *demo) look(regions [2]*region) {
	d.say("\nBoth regions run until Ctrl-C. In a second terminal:\n")
	for _, r := range regions {
		d.say("  %s asset list --digital --credentials %s   # %s", filepath.Join(d.bin, "assetflow"), r.credentials(), r.addresses.TemporalUI)
	}
}

// assetflow shows a command and runs it.
func (d *demo) assetflow(ctx context.Context, args ...string) error {
	d.say("$ assetflow %s", strings.Join(args, " "))
	cmd := d.command(ctx, args...)
	cmd.Stdout = d.stdout
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("assetflow %s: %w", strings.Join(args[:min(2, len(args))], " "), err)
	}
	return nil
}

// output runs a command and gives what it writes.
func (d *demo) output(ctx context.Context, args ...string) ([]byte, error) {
	text, err := d.command(ctx, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("assetflow %s: %w", args[0], err)
	}
	return text, nil
}

// command makes the command line, with profiles of its own.
func (d *demo) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "assetflow"), args...) //nolint:gosec // our own program
	cmd.Env = cleanEnv("HOME="+d.dir, "XDG_CONFIG_HOME="+filepath.Join(d.dir, "config"))
	cmd.Dir = d.dir // paths are short, and there is no .assetflow in it
	cmd.Stderr = d.stderr
	cmd.SysProcAttr = apart()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = stopPatience
	return cmd
}

// writeFile writes a file that does not compress and is the same each time.
func writeFile(ctx context.Context, path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // in our own folder
	if err != nil {
		return err
	}
	var seed [32]byte
	copy(seed[:], filepath.Base(path))
	source := rand.NewChaCha8(seed)
	for left := size; left > 0 && err == nil; {
		if err = ctx.Err(); err == nil {
			var n int64
			n, err = io.CopyN(f, source, min(left, 1<<20))
			left -= n
		}
	}
	return errors.Join(err, f.Close())
}

func digest(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // in our own folder
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
