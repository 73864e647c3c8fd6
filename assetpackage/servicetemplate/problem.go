package servicetemplate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"assetflow/assetpackage"
)

// ResourceTemplate is the resource type of problems with service templates; their resource name is the name of the .st
// file, or empty where the uploaded file as a whole is meant.
const ResourceTemplate = "template"

// The codes of problems beside those of archives in general, which are the ones of package assetpackage.
const (
	CodeNotATemplate      = "not_a_template"      // an archive, but neither a template nor a bundle
	CodeBadTemplate       = "bad_template"        // template.json is not what the format asks for
	CodeBadVersion        = "bad_version"         // the version is not of the form aa.bb.cc
	CodeSecretDefault     = "secret_default"      // a password that stands in the template
	CodeBadIcon           = "bad_icon"            // icon.png is not a PNG image of 48 by 48 pixels
	CodeUnknownFile       = "unknown_file"        // a file that has no place in a template
	CodeBadFileName       = "bad_file_name"       // a file that is called neither .st nor .zip
	CodeDuplicateTemplate = "duplicate_template"  // one template twice in a bundle
	CodeReleaseDiffers    = "release_differs"     // what a file alone does not show: the project has another release of this version
	CodeTooManyTemplates  = "too_many_templates"  // more templates in a bundle than allowed
	CodeNestedTooLarge    = "compressed_template" // a large template that the bundle compresses
)

// problems collects what is wrong. It keeps the first few and counts the rest.
type problems struct {
	list  []assetpackage.Problem
	total int
}

func (ps *problems) add(file, code, format string, args ...any) {
	ps.append(assetpackage.Problem{ResourceType: ResourceTemplate, ResourceName: file, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (ps *problems) append(p assetpackage.Problem) {
	ps.total++
	if len(ps.list) < assetpackage.MaxProblems {
		ps.list = append(ps.list, p)
	}
}

// take collects the problems in err as those of a file; it returns what is not a problem of the content.
func (ps *problems) take(file string, err error) error {
	var bad *assetpackage.ProblemsError
	if !errors.As(err, &bad) {
		return err
	}
	for _, p := range bad.Problems {
		p.ResourceType, p.ResourceName = ResourceTemplate, file
		ps.append(p)
	}
	ps.total += bad.Total - len(bad.Problems)
	return nil
}

// err returns nil where nothing was found.
func (ps *problems) err() error {
	if ps.total == 0 {
		return nil
	}
	return &assetpackage.ProblemsError{Problems: ps.list, Total: ps.total}
}

func refuse(file, code, format string, args ...any) error {
	var ps problems
	ps.add(file, code, format, args...)
	return ps.err()
}

// quote makes text from a template safe to show: quoted, escaped, and cut to a length that fits a sentence.
func quote(s string) string { return strconv.QuoteToGraphic(shorten(s, 80)) }

func shorten(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}

// ShownName gives the name of an uploaded file as problems and results show it: without folders, in either spelling of
// paths, without characters that cannot be seen, and of at most 255 characters.
func ShownName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if !strconv.IsGraphic(r) || r == '\ufffd' {
			return '?'
		}
		return r
	}, name)
	return shorten(name, 254)
}
