package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

// hashShown is the size of a file from which on it takes long enough to read that it is said.
const hashShown = 64 << 20

func (a *app) assetsUploadCommand() *cobra.Command {
	var (
		flags connectionFlags
		file  client.NewFile
	)
	cmd := &cobra.Command{
		Use:   "upload ASSET FILE",
		Short: "Upload a file of a digital asset",
		Long: `Uploads a file of a digital asset, named by its id or name: announces it with its MD5 and size, sends it straight to the
object store, and has the service check it. The main file makes the asset ACTIVED. After a failure or Ctrl-C nothing of it
stays.

Categories are ` + strings.Join(client.FileCategories, ", ") + `; an asset has one MAIN file.`,
		Example: `  assetflow assets upload Ava ava.mp4
  assetflow assets upload Ava cover.png --category COVER
  assetflow assets upload 0194f7a0-dddd-7000-8000-00000000dddd part.bin --category OTHER --type zip -o json | jq -r .file_id`,
		Args: arguments("ASSET", "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOfFlag("category", file.Category, client.FileCategories...); err != nil {
				return err
			}
			return a.uploadFile(cmd.Context(), &flags, args[0], args[1], file)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&file.Category, "category", "MAIN", "what the file is to the asset")
	cmd.Flags().StringVar(&file.Name, "name", "", "its `name` in the asset (default: the file's own)")
	cmd.Flags().StringVar(&file.Type, "type", "", "its `type`, such as mp4 (default: what its name ends in)")
	_ = cmd.RegisterFlagCompletionFunc("category", cobra.FixedCompletions(client.FileCategories, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// uploadedFile is what an upload did, for scripts.
type uploadedFile struct {
	FileID string `json:"file_id"`
	client.NewFile
}

func (a *app) uploadFile(ctx context.Context, flags *connectionFlags, asset, path string, file client.NewFile) error {
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("open the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("open the file: %w", err)
	case !info.Mode().IsRegular():
		return usagef("%s is not a regular file: its size must be known", path)
	case info.Size() == 0:
		return usagef("%s is empty", path)
	case info.Size() > client.MaxFileSize:
		return usagef("%s has %s: a file has at most %s", path, size(info.Size()), size(client.MaxFileSize))
	}
	file.Size = info.Size()
	if file.Name == "" {
		file.Name = filepath.Base(path)
	}
	if file.Type == "" {
		file.Type = strings.ToLower(strings.TrimPrefix(filepath.Ext(file.Name), "."))
	}
	if file.Type == "" {
		file.Type = "bin" // the contract wants one
	}
	c, conn, err := a.connect(flags, needProject)
	if err != nil {
		return err
	}
	defer c.Close()
	if file.AssetID, err = digitalID(ctx, c, asset); err != nil {
		return conn.blame(err)
	}
	if file.Size >= hashShown {
		a.note("Computing the MD5 of %s.", file.Name)
	}
	if file.MD5, err = client.FileMD5(ctx, f, file.Size, nil); err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	m := a.uploadMeter(file.Name, file.Size)
	began := a.now()
	id, err := c.UploadFile(ctx, file, f, func(sent, _ int64) { m.at(sent, "") })
	m.end()
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return &hintError{err: err, hint: "The upload was not complete, so the asset has no such file."}
	case err != nil:
		return conn.blame(unknownUpload(err, file.AssetID))
	}
	a.note("Uploaded %s (%s) in %s.", file.Name, size(file.Size), took(a.now().Sub(began)))
	return a.emit(uploadedFile{id, file}, func(s *sheet) {
		if a.quiet {
			s.line("%s", id)
			return
		}
		s.line("File %s is the asset's %s file.", id, file.Category)
	})
}

// unknownUpload says what to do where it is not known whether a file is there.
func unknownUpload(err error, assetID string) error {
	var away *client.UnreachableError
	if !errors.As(err, &away) || isDial(away) {
		return err
	}
	return &hintError{err: err, hint: fmt.Sprintf(
		"The connection broke. See with `assetflow assets show --digital %s` whether the file is there nevertheless.", assetID)}
}

// downloadChoice says which files are downloaded where to.
type downloadChoice struct {
	files     []string // names or ids; all where empty
	out, dir  string
	overwrite bool
}

func (a *app) assetsDownloadCommand() *cobra.Command {
	var (
		flags  connectionFlags
		choice downloadChoice
	)
	cmd := &cobra.Command{
		Use:   "download ASSET",
		Short: "Download the files of a digital asset",
		Long: `Downloads the files of a digital asset, named by its id or name, into a folder under their own names, or with --file
those that are named. They come straight from the object store; a connection that breaks is taken up again, and each file
is compared with its MD5 before it is put in its place. Files that exist are only replaced with --overwrite, or where --out
names one.`,
		Example: `  assetflow assets download Ava --dir ava
  assetflow assets download Ava --file ava.mp4 --out /tmp/ava.mp4
  assetflow assets download Ava --file 0194f7a0-ffff-7000-8000-00000000ffff --overwrite`,
		Args: arguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.download(cmd.Context(), &flags, args[0], choice)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&choice.files, "file", nil, "`name` or id of a file; may be repeated (default: all)")
	cmd.Flags().StringVar(&choice.dir, "dir", ".", "`folder` to write to; made where it is missing")
	cmd.Flags().StringVar(&choice.out, "out", "", "`file` to write, where one is downloaded")
	cmd.Flags().BoolVar(&choice.overwrite, "overwrite", false, "replace files that exist")
	cmd.MarkFlagsMutuallyExclusive("out", "dir")
	return cmd
}

// downloadedFile is a file that was downloaded, for scripts.
type downloadedFile struct {
	FileID string `json:"file_id"`
	File   string `json:"file"` // where it is now
	Size   int64  `json:"file_size"`
	MD5    string `json:"file_md5"`
}

func (a *app) download(ctx context.Context, flags *connectionFlags, text string, choice downloadChoice) error {
	c, conn, err := a.connect(flags, needProject)
	if err != nil {
		return err
	}
	defer c.Close()
	asset, err := digitalNamed(ctx, c, text)
	if err != nil {
		return conn.blame(err)
	}
	files, err := choice.pick(asset)
	if err != nil {
		return err
	}
	targets, err := choice.targets(files)
	if err != nil {
		return err
	}
	done := []downloadedFile{}
	for i, file := range files {
		if err = a.downloadFile(ctx, c, file, targets[i]); err != nil {
			break
		}
		done = append(done, downloadedFile{file.ID, targets[i], file.Size, file.MD5})
	}
	if err == nil || len(done) > 0 {
		err = errors.Join(err, a.emit(map[string][]downloadedFile{"files": done}, func(s *sheet) {
			for _, f := range done {
				if !a.quiet {
					s.line("Wrote %s (%s).", f.File, size(f.Size))
				}
			}
		}))
	}
	return conn.blame(err)
}

// pick gives the files of an asset that are meant.
func (choice downloadChoice) pick(asset client.DigitalAsset) ([]client.DigitalFile, error) {
	files := make([]client.DigitalFile, 0, len(asset.Files))
	for _, f := range asset.Files {
		if len(choice.files) == 0 && f.State == client.FileCreated {
			files = append(files, f)
		}
	}
	for _, text := range choice.files {
		f, err := fileNamed(asset, text)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	switch {
	case len(files) == 0:
		return nil, &hintError{err: fmt.Errorf("the asset %s has no files", asset.Name), code: ExitNotFound}
	case choice.out != "" && len(files) > 1:
		return nil, usagef("the asset has %d files, and --out names one: choose with --file, or write to a folder with --dir", len(files))
	}
	return files, nil
}

// fileNamed gives the one file of an asset that text is the name or id of.
func fileNamed(asset client.DigitalAsset, text string) (client.DigitalFile, error) {
	var found []client.DigitalFile
	for _, f := range asset.Files {
		if f.ID == text || f.Name == text {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return client.DigitalFile{}, &hintError{
			err: fmt.Errorf("the asset %s has no file %q", asset.Name, text), code: ExitNotFound,
			hint: fmt.Sprintf("See what it has with `assetflow assets show --digital %s`.", asset.ID),
		}
	}
	lines := make([]string, len(found))
	for i, f := range found {
		lines[i] = fmt.Sprintf("  %s  %s, %s", f.ID, f.Category, size(f.Size))
	}
	return client.DigitalFile{}, &usageError{
		text: fmt.Sprintf("%d files of the asset have the name %q", len(found), text),
		hint: "Use the id of one:\n" + strings.Join(lines, "\n"),
	}
}

// targets gives where each of the files goes. The names are somebody else's: none leads out of the folder, and none replaces
// what is there unless that is wanted.
func (choice downloadChoice) targets(files []client.DigitalFile) ([]string, error) {
	if choice.out != "" {
		if info, err := os.Stat(choice.out); err == nil && info.IsDir() {
			return nil, usagef("--out %s: is a folder", choice.out)
		}
		return []string{choice.out}, nil
	}
	targets := make([]string, len(files))
	taken := map[string]bool{}
	for i, f := range files {
		switch {
		case f.Name == "" || f.Name == "." || f.Name == ".." || strings.ContainsAny(f.Name, `/\`+"\x00") || !filepath.IsLocal(f.Name):
			return nil, usagef("the file %s has the name %q, which is no file's here: download it with --file %s --out FILE", f.ID, f.Name, f.ID)
		case taken[f.Name]:
			return nil, usagef("several of the files have the name %q: download one at a time with --file %s --out FILE", f.Name, f.ID)
		}
		taken[f.Name] = true
		targets[i] = filepath.Join(choice.dir, f.Name)
		if _, err := os.Lstat(targets[i]); err == nil && !choice.overwrite {
			return nil, &hintError{
				err: fmt.Errorf("%s exists", targets[i]), code: ExitConflict, hint: "Replace it with --overwrite, or write to another folder with --dir.",
			}
		}
	}
	if err := os.MkdirAll(choice.dir, 0o755); err != nil { //nolint:gosec // a folder like any that the user makes
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	return targets, nil
}

// downloadFile writes a file beside its place and puts it there when it is whole.
func (a *app) downloadFile(ctx context.Context, c *client.Client, file client.DigitalFile, target string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(target), ".download-*")
	if err != nil {
		return fmt.Errorf("write the file: %w", err)
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	m := a.downloadMeter(file.Name, file.Size)
	began := a.now()
	err = c.DownloadFile(ctx, file, f, func(done, _ int64) { m.at(done, "") })
	m.end()
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close(), os.Rename(f.Name(), target)); err != nil {
		return fmt.Errorf("write the file: %w", err)
	}
	a.note("Downloaded %s (%s) in %s.", file.Name, size(file.Size), took(a.now().Sub(began)))
	return nil
}

func (a *app) assetsRemoveFileCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "remove-file ASSET FILE",
		Short: "Remove a file from a digital asset",
		Long: `Removes a file, by its name or id, from a digital asset. Without its main file the asset is CREATING again, until
another one is uploaded.`,
		Example: `  assetflow assets remove-file Ava cover.png`,
		Args:    arguments("ASSET", "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			asset, err := digitalNamed(cmd.Context(), c, args[0])
			if err != nil {
				return conn.blame(err)
			}
			file, err := fileNamed(asset, args[1])
			if err != nil {
				return err
			}
			if err := c.DeleteFile(cmd.Context(), file.ID); err != nil {
				return conn.blame(err)
			}
			return a.emit(map[string]string{"asset_id": asset.ID, "file_id": file.ID}, func(s *sheet) {
				if !a.quiet {
					s.line("Removed %s (%s) from %s.", file.Name, file.ID, asset.Name)
				}
			})
		},
	}
	flags.add(cmd)
	return cmd
}
