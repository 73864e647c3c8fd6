package servicetemplate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// The states of a template.
const (
	Debug   = "debug"   // a build for trying out: another one of the same version replaces it
	Release = "release" // never changes
)

// Names inside a template.
const (
	ManifestName = "template.json"
	IconName     = "icon.png"
	PluginFolder = "plugins"
)

// Manifest is the content of template.json. Its form in JSON is that of the ServiceTemplate of the API, with properties
// and steps; what the author left out has its default.
type Manifest struct {
	KeyName               string     // 1 to 64 letters, digits, ".", "-", "_"
	DisplayName           string     // default: KeyName
	VendorID              string     // as KeyName
	VendorName            string     // default: VendorID
	Version               string     // aa.bb.cc
	Tags                  []string   // each once
	Description           string     //
	ReleaseState          string     // Debug or Release, which is the default
	SupportedScheduleType string     // with commas between the items
	UsedServices          []string   // each once
	UsedTemplates         []string   // each once
	Properties            []Property //
	Steps                 []Step     //
}

// Property is a value that the template's user gives, or that its steps hand to each other.
type Property struct {
	KeyName      string   `json:"keyName"` // unique in the template
	DisplayName  string   `json:"displayName,omitempty"`
	Description  string   `json:"description,omitempty"`
	Type         string   `json:"type"`           // string, integer, double, boolean, date, time or password
	Mode         string   `json:"mode,omitempty"` // in (default), out or variable
	Required     bool     `json:"required,omitempty"`
	Group        string   `json:"group,omitempty"`
	DefaultValue string   `json:"defaultValue,omitempty"`
	Values       []string `json:"values,omitempty"` // the only ones that are allowed
}

// Step is one run of a plug-in.
type Step struct {
	KeyName     string            `json:"keyName"` // unique in the template
	DisplayName string            `json:"displayName,omitempty"`
	Description string            `json:"description,omitempty"`
	Plugin      Plugin            `json:"plugin"`
	After       []string          `json:"after,omitempty"`   // steps that come before
	Inputs      map[string]string `json:"inputs,omitempty"`  // by property of the plug-in; ${name} stands for a property's value
	Outputs     map[string]string `json:"outputs,omitempty"` // property of the plug-in: property of the template
}

// Plugin names a plug-in.
type Plugin struct {
	VendorID string `json:"vendorID"`
	KeyName  string `json:"keyName"`
	Version  string `json:"version"`
}

// Folder is the name of the plug-in's folder in a template.
func (p Plugin) Folder() string { return p.VendorID + "_" + p.KeyName + "_" + p.Version }

// FileName is what a file with this template is called: vendorID_keyName_version.st, with _d before the dot for a debug
// build.
func (m Manifest) FileName() string {
	name := m.VendorID + "_" + m.KeyName + "_" + m.Version
	if m.ReleaseState == Debug {
		name += "_d"
	}
	return name + ".st"
}

// document is template.json.
type document struct {
	KeyName               string     `json:"keyName"`
	DisplayName           string     `json:"displayName,omitempty"`
	VendorID              string     `json:"vendorID"`
	VendorName            string     `json:"vendorName,omitempty"`
	Version               string     `json:"version"`
	Tags                  list       `json:"tags,omitempty"`
	Description           string     `json:"description,omitempty"`
	ReleaseState          string     `json:"releaseState,omitempty"`
	SupportedScheduleType list       `json:"supportedScheduleType,omitempty"`
	UsedServices          list       `json:"usedServices,omitempty"`
	UsedTemplates         list       `json:"usedTemplates,omitempty"`
	Properties            []Property `json:"properties,omitempty"`
	Steps                 []Step     `json:"steps,omitempty"`
}

// list is one text with commas between its items; a JSON list of texts is read as well.
type list []string

// MarshalJSON gives one text.
func (l list) MarshalJSON() ([]byte, error) { return json.Marshal(strings.Join(l, ",")) }

// UnmarshalJSON reads either form. White space around items, empty items and repeated ones are left out.
func (l *list) UnmarshalJSON(data []byte) error {
	var items []string
	if bytes.HasPrefix(data, []byte("[")) {
		if err := json.Unmarshal(data, &items); err != nil {
			return fmt.Errorf("read list: %w", err)
		}
	} else {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("read list: %w", err)
		}
		items = strings.Split(text, ",")
	}
	*l = nil
	seen := make(map[string]bool)
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" && !seen[item] {
			seen[item] = true
			*l = append(*l, item)
		}
	}
	return nil
}

func (d document) manifest() Manifest {
	m := Manifest{
		KeyName: d.KeyName, DisplayName: d.DisplayName, VendorID: d.VendorID, VendorName: d.VendorName, Version: d.Version,
		Tags: d.Tags, Description: d.Description, ReleaseState: d.ReleaseState,
		SupportedScheduleType: strings.Join(d.SupportedScheduleType, ","),
		UsedServices:          d.UsedServices, UsedTemplates: d.UsedTemplates, Properties: d.Properties, Steps: d.Steps,
	}
	if m.DisplayName == "" {
		m.DisplayName = m.KeyName
	}
	if m.VendorName == "" {
		m.VendorName = m.VendorID
	}
	if m.ReleaseState == "" {
		m.ReleaseState = Release
	}
	return m
}

func (m Manifest) document() document {
	d := document{
		KeyName: m.KeyName, DisplayName: m.DisplayName, VendorID: m.VendorID, VendorName: m.VendorName, Version: m.Version,
		Tags: m.Tags, Description: m.Description, ReleaseState: m.ReleaseState,
		UsedServices: m.UsedServices, UsedTemplates: m.UsedTemplates, Properties: m.Properties, Steps: m.Steps,
	}
	if m.SupportedScheduleType != "" {
		d.SupportedScheduleType = strings.Split(m.SupportedScheduleType, ",")
	}
	return d
}
