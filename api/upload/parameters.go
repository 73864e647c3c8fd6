package upload

import (
	"net/url"

	"assetflow/assetpackage"
	"assetflow/catalog"
	"assetflow/fault"
)

// Parameters are what the query of an upload says of its import.
type Parameters struct {
	Mode                 catalog.ImportMode
	Prefix               string
	OverwriteDataSources bool
}

// ParseParameters reads a query. It refuses unknown values of known parameters, and repeated ones. Unknown parameters
// are ignored.
func ParseParameters(rawQuery string) (Parameters, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Parameters{}, fault.New(fault.Invalid, CodeParameter, "The query is not properly encoded.").Wrap(err)
	}
	for _, name := range []string{"type", "prefix", "datasource_overwrite"} {
		if len(query[name]) > 1 {
			return Parameters{}, fault.New(fault.Invalid, CodeParameter, "The parameter %s is given more than once.", name)
		}
	}
	p := Parameters{Mode: catalog.AddNew, Prefix: query.Get("prefix"), OverwriteDataSources: query.Get("datasource_overwrite") == "true"}
	switch {
	case !query.Has("type"), query.Get("type") == string(catalog.AddNew):
	case query.Get("type") == string(catalog.Merge):
		p.Mode = catalog.Merge
	default:
		return Parameters{}, fault.New(fault.Invalid, CodeParameter, "The parameter type must be AddNew or Merge.")
	}
	if query.Has("datasource_overwrite") && !p.OverwriteDataSources && query.Get("datasource_overwrite") != "false" {
		return Parameters{}, fault.New(fault.Invalid, CodeParameter, "The parameter datasource_overwrite must be true or false.")
	}
	return p, checkPrefix(p.Prefix)
}

// checkPrefix asks of a prefix that a name can begin with it, and that a character more is still a name.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if err := assetpackage.CheckName(prefix + "a"); err != nil {
		return fault.New(fault.Invalid, CodeParameter, "The parameter prefix must begin with a letter or digit and have at most "+
			"%d letters, digits, spaces, dots, hyphens and underscores.", assetpackage.MaxNameLength-1).Wrap(err)
	}
	return nil
}
