package assetpackage_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
	"assetflow/fault"
)

// openAndVerify is all that is ever done to find out whether a package is good.
func openAndVerify(t *testing.T, data []byte, limits assetpackage.Limits) (opened bool, err error) {
	t.Helper()
	p, err := assetpackage.Open(t.Context(), packagetest.Source(data), limits)
	if err != nil {
		require.Nil(t, p)
		return false, err
	}
	return true, p.Verify(t.Context(), nil)
}

func problemsOf(t *testing.T, err error) []assetpackage.Problem {
	t.Helper()
	var bad *assetpackage.ProblemsError
	require.ErrorAs(t, err, &bad)
	require.NotEmpty(t, bad.Problems)
	require.LessOrEqual(t, len(bad.Problems), assetpackage.MaxProblems)
	require.GreaterOrEqual(t, bad.Total, len(bad.Problems))
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	for _, p := range bad.Problems {
		requireReadable(t, p)
	}
	return bad.Problems
}

// requireReadable says what every message has: a sentence of bounded length in which nothing is invisible.
func requireReadable(t *testing.T, p assetpackage.Problem) {
	t.Helper()
	require.Contains(t, []string{"application", "task"}, p.ResourceType)
	require.Less(t, len(p.Message), 900)
	require.True(t, strings.HasSuffix(p.Message, "."), p.Message)
	require.NotRegexp(t, regexp.MustCompile(`[^.]\.\.$`), p.Message)
	require.NotContains(t, p.Message, "%!")
	for _, r := range p.Message + p.ResourceName {
		require.True(t, unicode.IsGraphic(r), "%U in %q", r, p.Message)
	}
}

func TestBadPackages(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, c := range packagetest.Bad() {
		require.False(t, seen[c.Name], "two cases are called %s", c.Name)
		seen[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			data, err := c.Bytes()
			require.NoError(t, err)
			opened, err := openAndVerify(t, data, assetpackage.Limits{})
			require.Equal(t, c.ByVerify, opened)
			var found *assetpackage.Problem
			for _, p := range problemsOf(t, err) {
				t.Logf("%s %q %s: %s", p.ResourceType, p.ResourceName, p.Code, p.Message)
				if p.Code == c.WantCode && found == nil {
					found = &p
				}
			}
			require.NotNil(t, found, "no problem with the code %s", c.WantCode)
			require.Contains(t, found.Message, c.WantText)
		})
	}
}

// Every code that exists has a package that shows it.
func TestBadPackagesShowEveryCode(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("problem.go")
	require.NoError(t, err)
	codes := regexp.MustCompile(`(?m)^\tCode\w+ += "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	require.Greater(t, len(codes), 20)
	shown := make(map[string]bool)
	for _, c := range packagetest.Bad() {
		shown[c.WantCode] = true
	}
	for _, code := range codes {
		require.True(t, shown[code[1]], "no bad package shows %s", code[1])
	}
}

func TestValidPackages(t *testing.T) {
	t.Parallel()
	small := assetpackage.Limits{MaxEntries: 3, MaxAssets: 1}
	stored := packagetest.Valid()
	deflated := packagetest.Valid()
	for i := range deflated.Entries {
		deflated.Entries[i].Deflate = true
	}
	folders := packagetest.Valid()
	folders.Entries = append(folders.Entries, packagetest.Entry{Name: "some/"})
	comment := packagetest.Valid()
	comment.Comment = "PK\x05\x06 is no end, made by hand"
	zip64 := packagetest.Valid()
	zip64.Zip64 = true
	long := packagetest.Valid()
	for i := range long.Entries {
		long.Entries[i].Zip64 = true
	}
	bom := packagetest.WithManifest("\xef\xbb\xbf" + packagetest.ManifestOf(`{"name":"shop","definition":{}}`))
	unicodeName := packagetest.WithManifest(packagetest.Manifest(packagetest.Listed("Küche/品目.txt", nil)), packagetest.Entry{Name: "Küche/品目.txt"})
	for name, a := range map[string]packagetest.Archive{
		"stored": stored, "deflated": deflated, "with a folder entry": folders, "with a comment": comment, "zip64": zip64, "zip64 fields": long,
		"with a byte order mark": bom, "with names in other scripts": unicodeName,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened, err := openAndVerify(t, a.Bytes(), small)
			require.True(t, opened)
			require.NoError(t, err)
		})
	}
}

func TestManyProblemsAreCollectedAndCounted(t *testing.T) {
	t.Parallel()
	a := packagetest.WithManifest(packagetest.ManifestOf(
		`{"name":"shop","definition":{},"colour":1,"files":[`+packagetest.Listed("../up", nil)+`]}`,
		`{"name":"shop/2","definition":[]}`,
		`{"name":"third","definition":{},"files":[`+packagetest.Listed("gone", nil)+","+packagetest.Listed("lnk", nil)+`]}`,
	), packagetest.Entry{Name: "lnk", Mode: 0o120777}, packagetest.Entry{Name: "/abs"}, packagetest.Entry{Name: "X"}, packagetest.Entry{Name: "x"})
	_, err := openAndVerify(t, a.Bytes(), assetpackage.Limits{})
	var got []string
	for _, p := range problemsOf(t, err) {
		got = append(got, p.ResourceName+": "+p.Code)
	}
	require.Equal(t, []string{
		"third: special_file", // the link, at the asset that lists it
		": unsafe_path",       // /abs
		": duplicate_entry",   // X and x
		"shop: bad_manifest",  // colour
		"shop/2: bad_manifest",
		"shop/2: bad_manifest",
		"third: missing_file",
	}, got)

	var broken []string
	for range 30 {
		broken = append(broken, `{"name":"?","definition":{}}`)
	}
	_, err = openAndVerify(t, packagetest.WithManifest(packagetest.ManifestOf(broken...)).Bytes(), assetpackage.Limits{})
	require.Len(t, problemsOf(t, err), assetpackage.MaxProblems)
	var bad *assetpackage.ProblemsError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, 30, bad.Total)
	require.Contains(t, err.Error(), "29 more problems")

	_, err = assetpackage.DecodeManifest([]byte(packagetest.ManifestOf(broken...)))
	require.Len(t, problemsOf(t, err), assetpackage.MaxProblems)
}

func TestVerifyReportsEveryBadFile(t *testing.T) {
	t.Parallel()
	var listed []string
	var entries []packagetest.Entry
	for _, name := range []string{"a", "b", "c", "d"} {
		listed = append(listed, packagetest.Listed(name, []byte("right "+name)))
		content := "right " + name
		if name == "b" || name == "d" {
			content = "wrong " + name
		}
		entries = append(entries, packagetest.Entry{Name: name, Data: []byte(content), Deflate: name > "b"})
	}
	p, err := assetpackage.Open(t.Context(), packagetest.Source(packagetest.WithManifest(packagetest.Manifest(listed...), entries...).Bytes()), assetpackage.Limits{})
	require.NoError(t, err)
	problems := problemsOf(t, p.Verify(t.Context(), nil))
	require.Len(t, problems, 2)
	for i, name := range []string{`"b"`, `"d"`} {
		require.Equal(t, "shop", problems[i].ResourceName)
		require.Equal(t, assetpackage.CodeDigestMismatch, problems[i].Code)
		require.Contains(t, problems[i].Message, name)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	data := packagetest.Spec{Applications: 3, Tasks: 2, FilesPerAsset: 2, FileBytes: 100 << 10}.Bytes()
	for name, c := range map[string]struct {
		limits assetpackage.Limits
		code   string
	}{
		"assets":    {assetpackage.Limits{MaxAssets: 4}, assetpackage.CodeTooManyAssets},
		"entries":   {assetpackage.Limits{MaxEntries: 10}, assetpackage.CodeTooManyEntries},
		"manifest":  {assetpackage.Limits{MaxManifestBytes: 1000}, assetpackage.CodeTooLarge},
		"values":    {assetpackage.Limits{MaxManifestValues: 50}, assetpackage.CodeBadManifest},
		"depth":     {assetpackage.Limits{MaxManifestDepth: 4}, assetpackage.CodeBadManifest},
		"directory": {assetpackage.Limits{MaxDirectoryBytes: 500}, assetpackage.CodeTooLarge},
		"total":     {assetpackage.Limits{MaxTotalBytes: 999 << 10}, assetpackage.CodeTooLarge},
		"entry":     {assetpackage.Limits{MaxEntryBytes: 99 << 10}, assetpackage.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := openAndVerify(t, data, c.limits)
			require.Equal(t, c.code, problemsOf(t, err)[0].Code)
		})
	}
	_, err := openAndVerify(t, data, assetpackage.Limits{
		MaxAssets: 5, MaxEntries: 11, MaxManifestBytes: 5000, MaxManifestDepth: 6, MaxTotalBytes: 1000 << 10, MaxEntryBytes: 100 << 10,
	})
	require.NoError(t, err, "what is exactly at its limit is allowed")
}

func TestRatioIsExact(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 2<<20)
	a := packagetest.WithManifest(packagetest.Manifest(packagetest.Listed("z", zeros)), packagetest.Entry{Name: "z", Data: zeros, Deflate: true})
	compressed := int64(len(packagetest.Compress(zeros)))
	ratio := (int64(len(zeros)) + compressed - 1) / compressed
	_, err := openAndVerify(t, a.Bytes(), assetpackage.Limits{MaxRatio: ratio})
	require.NoError(t, err)
	_, err = openAndVerify(t, a.Bytes(), assetpackage.Limits{MaxRatio: ratio - 1})
	require.Equal(t, assetpackage.CodeBomb, problemsOf(t, err)[0].Code)
	for size, code := range map[uint64]string{200 * 10_000: "", 200*10_000 + 1: assetpackage.CodeBomb} {
		file := fmt.Sprintf(`{"path":"z","sha256":"%064d","size":%d}`, 0, size)
		a := packagetest.WithManifest(packagetest.Manifest(file), packagetest.Entry{Name: "z", Raw: make([]byte, 10_000), Size: size, Method: 8})
		_, err = assetpackage.Open(t.Context(), packagetest.Source(a.Bytes()), assetpackage.Limits{})
		if code == "" {
			require.NoError(t, err, "exactly 200 times is allowed")
		} else {
			require.Equal(t, code, problemsOf(t, err)[0].Code)
		}
	}
	_, err = openAndVerify(t, a.Bytes(), assetpackage.Limits{MaxRatio: 2, RatioFloorBytes: 2 << 20})
	require.NoError(t, err, "small files may compress as well as they can")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.zip")
	require.NoError(t, os.WriteFile(path, packagetest.Valid().Bytes(), 0o600))
	s, err := assetpackage.Check(t.Context(), path, assetpackage.Limits{})
	require.NoError(t, err)
	require.Equal(t, 1, s.Applications)
	require.Equal(t, int64(5), s.Bytes)
	require.Positive(t, s.ArchiveBytes)

	_, err = assetpackage.Check(t.Context(), path+".gone", assetpackage.Limits{})
	require.ErrorIs(t, err, os.ErrNotExist)
	var bad *assetpackage.ProblemsError
	require.False(t, errors.As(err, &bad))
}
