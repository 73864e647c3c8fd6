package chaos

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"assetflow/assetpackage"
	"assetflow/catalog"
)

// What a user's packages are made of.
const (
	applicationNames = 5
	taskNames        = 3
	variants         = 4 // of an asset's content
	sharedVariants   = 2 // of these, those that are the same whoever has them
	generations      = 8 // of a user's own variants
	bigVariant       = variants
	smallFile        = 20 << 10
	// bigFile goes to the store in several parts.
	bigFile = 9 << 20
	prefix  = "b "
)

// content is an asset as a package brings it, or as a version has it: what two versions may differ in.
type content struct {
	Kind         catalog.AssetKind
	Name         string
	Description  string
	Definition   string
	Applications []string // names
	Files        []assetpackage.File
}

// same is equal for contents of which the second makes no new version.
func (c content) same() string {
	text, _ := json.Marshal(content{
		Kind: c.Kind, Description: c.Description, Definition: c.Definition, Applications: c.Applications, Files: c.Files,
	}) // plain fields have a JSON
	return string(text)
}

// bundle is a package: its manifest and where its files' bytes come from.
type bundle struct {
	version  string
	contents []content           // applications before tasks
	files    map[string]fileSeed // by path
}

// fileSeed says what is in a file.
type fileSeed struct {
	variant, index int
	owner          uint16 // 0: everybody's; users share such blobs
}

func appName(user, n int) string  { return fmt.Sprintf("u%02d app %d", user, n) }
func taskName(user, n int) string { return fmt.Sprintf("u%02d task %d", user, n) }

// newBundle chooses assets of a user and what is in them.
func newBundle(random *rand.Rand, user, number int) bundle {
	b := bundle{version: fmt.Sprintf("1.%d.0", number), files: map[string]fileSeed{}}
	owner := uint16(user*generations + number%generations)
	apps := random.Perm(applicationNames)[:random.IntN(4)]
	tasks := random.Perm(taskNames)[:random.IntN(3)]
	if len(apps)+len(tasks) == 0 {
		apps = []int{random.IntN(applicationNames)}
	}
	slices.Sort(apps)
	slices.Sort(tasks)
	for _, n := range apps {
		b.add(random, content{Kind: catalog.KindApplication, Name: appName(user, n)}, fmt.Sprintf("applications/%d", n), owner)
	}
	for _, n := range tasks {
		task := content{Kind: catalog.KindTask, Name: taskName(user, n)}
		if random.IntN(4) > 0 { // one that the package has, the instance has, or nobody has
			used := random.IntN(applicationNames)
			if len(apps) > 0 && random.IntN(2) == 0 {
				used = apps[0]
			}
			task.Applications = []string{appName(user, used)}
		}
		b.add(random, task, fmt.Sprintf("tasks/%d", n), owner)
	}
	return b
}

func (b *bundle) add(random *rand.Rand, c content, folder string, owner uint16) {
	variant := random.IntN(variants)
	if random.IntN(50) == 0 {
		variant = bigVariant
	}
	if variant < sharedVariants || variant == bigVariant {
		owner = 0
	}
	c.Description = fmt.Sprintf("variant %d of %d", variant, owner)
	c.Definition = fmt.Sprintf(`{"variant":%d}`, variant)
	for i := range 1 + variant%2 {
		path, seed, digest := fmt.Sprintf("%s/%d.bin", folder, i), fileSeed{variant, i, owner}, sha256.New()
		_, _ = io.Copy(digest, seed.open()) // neither side can fail
		c.Files = append(c.Files, assetpackage.File{Path: path, SHA256: hex.EncodeToString(digest.Sum(nil)), Size: seed.size()})
		b.files[path] = seed
	}
	b.contents = append(b.contents, c)
}

func (f fileSeed) open() io.Reader {
	seed := [32]byte{byte(f.variant), byte(f.index)}
	binary.LittleEndian.PutUint16(seed[2:], f.owner)
	return io.LimitReader(rand.NewChaCha8(seed), f.size())
}

func (f fileSeed) size() int64 {
	if f.variant == bigVariant {
		return bigFile
	}
	return int64(1+f.variant+2*f.index) * smallFile / variants
}

// bytes writes the package.
func (b *bundle) bytes(ctx context.Context) ([]byte, error) {
	m := &assetpackage.Manifest{Format: assetpackage.Format, Version: b.version}
	for _, c := range b.contents {
		asset := assetpackage.Asset{
			Name: c.Name, Description: c.Description, Definition: json.RawMessage(c.Definition), Applications: c.Applications, Files: c.Files,
		}
		if c.Kind == catalog.KindApplication {
			m.Applications = append(m.Applications, asset)
		} else {
			m.Tasks = append(m.Tasks, asset)
		}
	}
	var out bytes.Buffer
	err := assetpackage.Write(ctx, &out, m, func(_ context.Context, path string) (io.ReadCloser, error) {
		return io.NopCloser(b.files[path].open()), nil
	})
	return out.Bytes(), err
}

// prefixed gives the contents as an import with a prefix makes them: names and references inside the package have it.
func (b *bundle) prefixed(prefix string) []content {
	inside := map[string]bool{}
	for _, c := range b.contents {
		inside[c.Name] = inside[c.Name] || c.Kind == catalog.KindApplication
	}
	all := slices.Clone(b.contents)
	for i := range all {
		all[i].Name = prefix + all[i].Name
		all[i].Applications = slices.Clone(all[i].Applications)
		for j, name := range all[i].Applications {
			if inside[name] {
				all[i].Applications[j] = prefix + name
			}
		}
	}
	return all
}

// contentsOf gives the contents of a package that an export made. Paths are left out: an export may move files.
func contentsOf(m *assetpackage.Manifest) []content {
	var all []content
	for _, group := range []struct {
		kind   catalog.AssetKind
		assets []assetpackage.Asset
	}{{catalog.KindApplication, m.Applications}, {catalog.KindTask, m.Tasks}} {
		for _, a := range group.assets {
			c := content{Kind: group.kind, Name: a.Name, Description: a.Description, Definition: string(a.Definition), Applications: a.Applications}
			for _, f := range a.Files {
				c.Files = append(c.Files, assetpackage.File{SHA256: f.SHA256, Size: f.Size})
			}
			all = append(all, c)
		}
	}
	return all
}

// exportable is what an export of the contents holds, to compare with contentsOf.
func exportable(all []content) []content {
	out := slices.Clone(all)
	for i := range out {
		out[i].Files = slices.Clone(out[i].Files)
		for j := range out[i].Files {
			out[i].Files[j].Path = ""
		}
	}
	return out
}

// textOf gives contents in one order, to compare and to show.
func textOf(all []content) string {
	slices.SortFunc(all, func(a, b content) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	var b bytes.Buffer
	for _, c := range all {
		slices.SortFunc(c.Files, func(a, b assetpackage.File) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.SHA256, b.SHA256))
		})
		var definition bytes.Buffer
		_ = json.Compact(&definition, []byte(c.Definition)) // what is no JSON shows as nothing
		fmt.Fprintf(&b, "%s %q %q %s uses %q files %v\n", c.Kind, c.Name, c.Description, definition.String(), c.Applications, c.Files)
	}
	return b.String()
}

func packageFile(f catalog.File) assetpackage.File { return assetpackage.File(f) }
