// Package servicetemplate reads, checks and writes service templates of the JP1/Automatic Operation API: a .st file is a
// zip archive with template.json, the plug-ins and an icon, a .zip file a bundle of several .st files.
// docs/service-template.md describes both for people; Schema returns the JSON Schema of template.json.
//
// Like an asset package, a template comes from a stranger. Open decides by the content what a file is, bounds what it
// makes the reader do, and reads every byte: what it returns without an error can be stored. What is wrong is a
// Problem of an assetpackage.ProblemsError; MessageID gives the API's identifier for its code.
//
// Write and Pack make a template, WriteBundle makes a bundle. Their bytes depend on nothing but the content.
package servicetemplate
