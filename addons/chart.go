package addons

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"

	"assetflow/fault"
)

// MaxChartBytes bounds the archive of a chart: Helm keeps a release with its chart in a Secret, which holds no more.
const MaxChartBytes = 1 << 20

const (
	maxUnpacked     = 10 << 20 // bytes of a chart unpacked, with the charts that are packed in it
	maxChartFiles   = 2000     // also with those
	maxChartPath    = 512      // bytes
	maxChartNesting = 4        // of packed charts in packed charts

	maxChartName   = 53 // characters; Helm's bound on the name of a release
	maxVersion     = 128
	maxAppVersion  = 128
	maxDescription = 512

	// maxReason bounds what Helm or Kubernetes says in a message of ours: it quotes the chart at any length.
	maxReason = 400
)

// dnsLabel is what a chart's name must look like: it names the release, and objects of Kubernetes.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// Metadata is what a chart says of itself, beside its name and version, cut to what is shown of it.
type Metadata struct {
	AppVersion  string // at most 128 characters
	Description string // at most 512 characters
}

// ReadChart reads a chart's archive, as `helm package` makes it, and checks that it is one that a target can be given: an
// application chart of apiVersion v2 with a DNS label for a name and a strict semantic version, whose dependencies are all
// in it and whose schema needs nothing from elsewhere. It bounds what it reads and unpacks, and what that takes of processor
// and memory. CodeBadChart, CodeChartTooLarge, CodeBusy; errors of r come back wrapped.
func ReadChart(ctx context.Context, r io.Reader) (Chart, Metadata, error) {
	archive, err := io.ReadAll(io.LimitReader(r, MaxChartBytes+1))
	if err != nil {
		return Chart{}, Metadata{}, fmt.Errorf("read a chart: %w", err)
	}
	if len(archive) > MaxChartBytes {
		return Chart{}, Metadata{}, fault.New(fault.TooLarge, CodeChartTooLarge,
			"the chart is larger than %d bytes; leave out of it what is not needed to install it", MaxChartBytes)
	}
	read, err := inChild(ctx, task{Do: doRead, Chart: Chart{Archive: archive}}, badChart, nil)
	if err != nil {
		return Chart{}, Metadata{}, err
	}
	digest := sha256.Sum256(archive)
	return Chart{
		Name: read.Name, Version: read.Version, SHA256: hex.EncodeToString(digest[:]), Archive: archive,
	}, read.Metadata, nil
}

// unpack gives the chart as Helm sees it, for one call of Helm: Helm changes it. The checks of ReadChart are made again,
// so that a target need not trust who gave it the chart. CodeRefused.
func (c Chart) unpack() (*v2.Chart, error) {
	if len(c.Archive) > MaxChartBytes {
		return nil, fault.New(fault.Invalid, CodeRefused, "the chart is larger than %d bytes", MaxChartBytes)
	}
	unpacked, err := unpackChart(c.Archive)
	if err != nil {
		refusal := fault.New(fault.Invalid, CodeRefused, "the chart cannot be read")
		if e, ok := fault.As(err); ok {
			refusal.Message = e.Message
		}
		return nil, refusal.Wrap(err)
	}
	if unpacked.Metadata.Name != c.Name || unpacked.Metadata.Version != c.Version {
		return nil, fault.New(fault.Invalid, CodeRefused, "the archive of chart %s %s holds %s %s; push the chart again",
			c.Name, c.Version, unpacked.Metadata.Name, unpacked.Metadata.Version)
	}
	return unpacked, nil
}

// unpackChart reads and checks an archive. YAML of a few bytes may be much in memory, so it is for a child process, and for
// what a child process has unpacked within its bounds.
func unpackChart(archive []byte) (*v2.Chart, error) {
	// Helm's loader has no bound but for 100 MiB an archive, also for those in it; it takes links for empty files and the
	// last of two files of a name. So the archive is looked through before the loader gets it.
	if err := (&unpacking{left: maxUnpacked}).check(archive, 0); err != nil {
		return nil, err
	}
	c, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, badChart("the chart cannot be read: %s; make it with helm package", reason(err)).Wrap(err)
	}
	if err := checkMetadata(c.Metadata); err != nil {
		return nil, err
	}
	return c, checkParts(c)
}

func badChart(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, CodeBadChart, format, args...)
}

var errUnpacked = fault.New(fault.TooLarge, CodeChartTooLarge, "the chart unpacks to more than %d bytes or %d files; "+
	"leave out of it what is not needed to install it", maxUnpacked, maxChartFiles)

// unpacking looks through an archive and those in it.
type unpacking struct {
	left  int64 // bytes of tar
	sizes int64 // of the files until now
	files int
}

func (u *unpacking) check(archive []byte, depth int) error {
	if depth > maxChartNesting {
		return badChart("the chart has charts in charts more than %d deep; pack them flatter", maxChartNesting)
	}
	gz, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return badChart("this is not a gzipped tar; push the .tgz that helm package makes").Wrap(err)
	}
	stream := &countedReader{r: gz, left: &u.left} // counts what lies between the files, too
	entries := tar.NewReader(stream)
	seen, root := map[string]bool{}, ""
	for {
		entry, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errUnpacked):
			return errUnpacked
		case err != nil:
			return badChart("this is not a whole gzipped tar; push the .tgz that helm package makes").Wrap(err)
		}
		if u.files++; u.files > maxChartFiles {
			return errUnpacked
		}
		name := strings.TrimSuffix(entry.Name, "/")
		folder, file, deep := strings.Cut(name, "/")
		switch {
		case entry.Typeflag == tar.TypeXGlobalHeader:
			continue
		case entry.Typeflag != tar.TypeReg && entry.Typeflag != tar.TypeDir:
			return badChart("the chart holds %q, which is neither file nor folder; put a copy in the place of a link", cut(name, 100))
		case len(name) > maxChartPath || !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00"):
			return badChart("the chart holds a file named %q; names are relative, without . and .., and at most %d bytes long",
				cut(name, 100), maxChartPath)
		case entry.Typeflag == tar.TypeDir:
			continue
		case !deep || root != "" && folder != root:
			return badChart("the chart holds %q beside its folder; everything is in one folder of the chart's name", cut(name, 100))
		case seen[name]:
			return badChart("the chart holds %q twice; pack it again", cut(name, 100))
		case file == "requirements.yaml":
			return badChart("the chart has a requirements.yaml; write its dependencies into Chart.yaml")
		}
		root, seen[name] = folder, true
		if err := u.checkFile(entries, entry, file, depth); err != nil {
			return err
		}
	}
}

// checkFile looks into a file, named under the chart's folder.
func (u *unpacking) checkFile(r io.Reader, entry *tar.Header, file string, depth int) error {
	if u.sizes += entry.Size; u.sizes > maxUnpacked { // a sparse file takes less room in the archive than that
		return errUnpacked
	}
	data, err := io.ReadAll(r)
	switch {
	case errors.Is(err, errUnpacked):
		return errUnpacked
	case err != nil:
		return badChart("this is not a whole gzipped tar; push the .tgz that helm package makes").Wrap(err)
	}
	parent, base := path.Split(file)
	packed := path.Base(parent) == "charts" && path.Ext(base) == ".tgz" && !strings.HasPrefix(base, "_") && !strings.HasPrefix(base, ".")
	if !packed {
		return nil
	}
	return u.check(data, depth+1)
}

// countedReader reads until no bytes are left, and then gives errUnpacked.
type countedReader struct {
	r    io.Reader
	left *int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	if *c.left <= 0 {
		return 0, errUnpacked
	}
	n, err := c.r.Read(p[:min(int64(len(p)), *c.left)])
	*c.left -= int64(n)
	return n, err
}

func checkMetadata(m *v2.Metadata) error {
	switch {
	case m.APIVersion != v2.APIVersionV2:
		return badChart("the chart is of apiVersion %q; write apiVersion: v2 into Chart.yaml", cut(m.APIVersion, 20))
	case m.Type == "library":
		return badChart("a library chart cannot be installed; push the chart that uses it, with the library in its charts folder")
	case len(m.Name) > maxChartName || !dnsLabel.MatchString(m.Name):
		return badChart("the chart is named %q; its name must be a DNS label (a-z, 0-9 and -) of at most %d characters",
			cut(m.Name, 100), maxChartName)
	}
	// Helm takes "v1" and "1.2", too, which would be other names of 1.0.0 and 1.2.0.
	if _, err := semver.StrictNewVersion(m.Version); err != nil || len(m.Version) > maxVersion {
		return badChart("the chart has version %q; it must be a semantic version such as 1.2.3, of at most %d characters",
			cut(m.Version, 100), maxVersion)
	}
	return nil
}

// checkParts checks a chart and those in it: that none is missing, and that no schema refers to another place, from which
// Helm would fetch it whatever it is: a URL of the network that the service is in, or a file of its machine.
func checkParts(c *v2.Chart) error {
	for _, wanted := range c.Metadata.Dependencies {
		if !slices.ContainsFunc(c.Dependencies(), func(d *v2.Chart) bool { return d.Name() == wanted.Name }) {
			return badChart("chart %q depends on %q, which is not in it; run helm dependency update before helm package",
				cut(c.Name(), 100), cut(wanted.Name, 100))
		}
	}
	if err := checkSchema(c.Schema); err != nil {
		return badChart("the values.schema.json of chart %q cannot be used: %s; it must be complete in itself",
			cut(c.Name(), 100), reason(err)).Wrap(err)
	}
	for _, part := range c.Dependencies() {
		if err := checkParts(part); err != nil {
			return err
		}
	}
	return nil
}

func checkSchema(text []byte) (err error) {
	if text == nil {
		return nil
	}
	defer func() { // as Helm does it
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	const name = "file:///values.schema.json" // Helm's
	if err := compiler.AddResource(name, schema); err != nil {
		return err
	}
	_, err = compiler.Compile(name)
	return err
}

// noLoader loads no schema.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) { return nil, fmt.Errorf("it refers to %q", url) }

// reason gives an error of Helm's, about what its caller gave us, as a part of a sentence.
func reason(err error) string {
	return strings.TrimSuffix(cut(strings.Join(strings.Fields(err.Error()), " "), maxReason), ".")
}

// cut gives at most n characters of s, valid and without control characters.
func cut(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
