package assetpackage

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"assetflow/fault"
)

// checkRules checks what the schema cannot express and what needs no archive.
func checkRules(m *Manifest, ps *problems) {
	ids := make(map[string]asset)
	sources := make(map[string]firstSource)
	files := make(map[string]asset)
	for _, list := range []struct {
		kind   string
		assets []Asset
	}{{ResourceApplication, m.Applications}, {ResourceTask, m.Tasks}} {
		names := make(map[string]bool)
		for _, a := range list.assets {
			own := asset{list.kind, a.Name}
			checkName(own, a.Name, "The name", ps)
			if names[a.Name] {
				ps.add(own, CodeDuplicateName, "There are two %ss named %s; names must differ within a kind.", list.kind, quote(a.Name))
			}
			names[a.Name] = true
			if other, taken := ids[a.ID]; taken && a.ID != "" {
				ps.add(own, CodeDuplicateID, "The id %s belongs to %s %s already; ids must differ within the package.", quote(a.ID), other.kind, quote(other.name))
			} else {
				ids[a.ID] = own
			}
			checkReferences(own, a.Applications, ps)
			checkDataSources(own, a.DataSources, sources, ps)
			checkFiles(own, a.Files, files, ps)
		}
	}
}

// checkName refuses a name that looks like another one and is not equal to it.
func checkName(own asset, name, what string, ps *problems) {
	if !norm.NFC.IsNormalString(name) {
		ps.add(own, CodeBadManifest, "%s %s is written with decomposed characters; write it in Unicode normalisation form C.", what, quote(name))
	}
}

func checkReferences(own asset, names []string, ps *problems) {
	seen := make(map[string]bool)
	for _, name := range names {
		checkName(own, name, "The application name", ps)
		if seen[name] {
			ps.add(own, CodeDuplicateName, "The task names the application %s twice; once is enough.", quote(name))
		}
		seen[name] = true
	}
}

// firstSource is the first description of a data source, and whose it is.
type firstSource struct {
	DataSource
	owner asset
}

func checkDataSources(own asset, list []DataSource, sources map[string]firstSource, ps *problems) {
	seen := make(map[string]bool)
	for _, d := range list {
		checkName(own, d.Name, "The data source name", ps)
		if seen[d.Name] {
			ps.add(own, CodeDuplicateName, "The data source %s is listed twice for this %s; list it once.", quote(d.Name), own.kind)
			continue
		}
		seen[d.Name] = true
		if first, ok := sources[d.Name]; !ok {
			sources[d.Name] = firstSource{d, own}
		} else if difference := differ(first.DataSource, d); difference != "" {
			ps.add(own, CodeDataSourceConflict, "The data source %s has another %s here than for %s %s; give both the same, or different names.", quote(d.Name), difference, first.owner.kind, quote(first.owner.name))
		}
		checkSettings(own, d, ps)
	}
}

// differ says in what two descriptions of one data source differ. Settings are in canonical form.
func differ(a, b DataSource) string {
	switch {
	case a.Type != b.Type:
		return "type"
	case !bytes.Equal(a.Settings, b.Settings):
		return "settings"
	case a.Description != b.Description:
		return "description"
	default:
		return ""
	}
}

func checkSettings(own asset, d DataSource, ps *problems) {
	var settings map[string]any
	if err := json.Unmarshal(d.Settings, &settings); err != nil {
		ps.add(own, CodeBadManifest, "The settings of data source %s cannot be read: %v.", quote(d.Name), err)
		return
	}
	for _, key := range sortedKeys(settings) {
		if carriesSecret(key) {
			ps.add(own, CodeSecretSetting, "The setting %s of data source %s names a secret, an account or an address. Remove it: those belong to the platform and never to a package.", quote(key), quote(d.Name))
			continue
		}
		if text, ok := settings[key].(string); ok && strings.Contains(text, "://") {
			ps.add(own, CodeSecretSetting, "The setting %s of data source %s holds an address. Remove it: addresses belong to the platform and never to a package.", quote(key), quote(d.Name))
		}
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// secretWords are words of a setting's key that make it a secret, an account or an address.
var secretWords = wordSet(`
	host hosts address addresses addr addrs ip ips url urls uri uris dsn jdbc endpoint endpoints server servers broker brokers
	bootstrap proxy hostname hostnames
	user users username usernames userid login logins account accounts principal
	password passwords passwd pwd pass passphrase passcode secret secrets token tokens key keys ak sk
	credential credentials cert certs certificate certificates auth authorization bearer keystore truststore`)

// secretParts are refused also in the middle of a word, where authors write words together.
var secretParts = []string{
	"password", "passwd", "passphrase", "secret", "token", "credential", "hostname", "username", "address", "endpoint",
	"account", "apikey", "accesskey", "privatekey", "connectionstring",
}

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

// carriesSecret reports whether a key names a secret, an account or an address, in any spelling: DB_HOST, dbHost,
// db-host, dbhostname.
func carriesSecret(key string) bool {
	var joined strings.Builder
	for _, word := range words(key) {
		if secretWords[word] {
			return true
		}
		joined.WriteString(word)
	}
	for _, part := range secretParts {
		if strings.Contains(joined.String(), part) {
			return true
		}
	}
	return secretWords[joined.String()]
}

// words splits a key at everything that is no letter and where upper case begins, and gives lower-case words.
func words(key string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(key)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			flush()
			continue
		case !unicode.IsUpper(r) || len(word) == 0:
		case unicode.IsLower(word[len(word)-1]), i+1 < len(runes) && unicode.IsLower(runes[i+1]):
			flush() // dbHost, and the H of DBHost
		}
		word = append(word, r)
	}
	flush()
	return out
}

func checkFiles(own asset, list []File, files map[string]asset, ps *problems) {
	for _, f := range list {
		if flaw := pathFlaw(f.Path); flaw != "" {
			ps.add(own, CodeUnsafePath, "The path %s %s.", quote(f.Path), flaw)
			continue
		}
		if foldPath(f.Path) == ManifestName {
			ps.add(own, CodeUnsafePath, "The file %s has the name of the manifest; rename it.", quote(f.Path))
			continue
		}
		if other, taken := files[f.Path]; taken {
			ps.add(own, CodeDuplicateFile, "The file %s is listed by %s %s already; every file belongs to one asset.", quote(f.Path), other.kind, quote(other.name))
			continue
		}
		files[f.Path] = own
	}
}

// CheckName returns nil where name may be the name of an application, a task or a data source: 1 to MaxNameLength
// letters, digits, spaces, dots, hyphens and underscores, beginning with a letter or digit, not ending with a space, in
// Unicode normalisation form C. Otherwise it returns a fault of kind Invalid with the code "package.bad_name".
//
// A caller that changes names, for example by a prefix, checks the result, so that it can be exported again.
func CheckName(name string) error {
	s := packageSchemas()
	if !utf8.ValidString(name) || s.name.Validate(name) != nil || !norm.NFC.IsNormalString(name) {
		return fault.New(fault.Invalid, "package.bad_name", "The name %s is not allowed: it must be %s.", quote(name), s.descriptions[s.name.Location])
	}
	return nil
}
