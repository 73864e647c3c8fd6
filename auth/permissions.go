package auth

import "slices"

// Role is what a user is in a project. A user can have several in one project.
type Role string

// The roles, strongest first.
const (
	RoleAdmin   Role = "Admin"   // everything
	RoleDevelop Role = "Develop" // makes and removes assets
	RoleModify  Role = "Modify"  // reads assets and takes them out
	RoleSubmit  Role = "Submit"  // sees assets and jobs
)

var roles = []Role{RoleAdmin, RoleDevelop, RoleModify, RoleSubmit}

// Permission is one thing a principal may do in a project.
type Permission string

// The permissions. A contract that brings new operations adds its own here and a row to the table below.
const (
	AssetsImport  Permission = "assets:import"  // start an import of an asset package
	AssetsExport  Permission = "assets:export"  // take assets out: start an export and download its archive, download files, hand an asset to another region
	AssetsEdit    Permission = "assets:edit"    // make and change digital assets and their files
	AssetsCopy    Permission = "assets:copy"    // start the copy of a digital asset from another region
	AssetsDelete  Permission = "assets:delete"  // delete assets, or start a deletion
	AssetsRead    Permission = "assets:read"    // list and show assets, versions, the trash and data sources
	AssetsRestore Permission = "assets:restore" // bring back what was deleted, or an older version
	AssetsPurge   Permission = "assets:purge"   // remove what was deleted for good
	JobsRead      Permission = "jobs:read"      // list and show jobs
	JobsCancel    Permission = "jobs:cancel"    // cancel a running job
	AuditRead     Permission = "audit:read"     // read who did what

	TemplatesImport  Permission = "templates:import"  // start an import of service templates
	TemplatesRead    Permission = "templates:read"    // list and show service templates
	TemplatesExport  Permission = "templates:export"  // take a service template out
	TemplatesDelete  Permission = "templates:delete"  // delete a service template
	TemplatesRestore Permission = "templates:restore" // bring back a deleted service template
	TemplatesPurge   Permission = "templates:purge"   // remove a deleted service template for good

	// Of ServiceStage's servicestage:environment, the first four are createAddon, listAddon and getAddon, modifyAddon, deleteAddon.
	AddonsCreate     Permission = "addons:create"     // make an add-on, which installs it
	AddonsRead       Permission = "addons:read"       // list and show add-ons, what can be installed, and the targets
	AddonsModify     Permission = "addons:modify"     // redeploy or restart an add-on
	AddonsDelete     Permission = "addons:delete"     // take an add-on away
	EnvironmentsRead Permission = "environments:read" // list and show environments
	EnvironmentsEdit Permission = "environments:edit" // make, change and remove environments
	ChartsPush       Permission = "charts:push"       // put a chart into the add-on library
	ChartsRead       Permission = "charts:read"       // list and show charts, and take them out
	ChartsDelete     Permission = "charts:delete"     // remove a chart from the add-on library
)

// permissionRoles is the one place that says which roles carry a permission. A permission without a row is nobody's.
var permissionRoles = map[Permission][]Role{
	AssetsImport:  {RoleAdmin, RoleDevelop},
	AssetsExport:  {RoleAdmin, RoleDevelop, RoleModify},
	AssetsEdit:    {RoleAdmin, RoleDevelop},
	AssetsCopy:    {RoleAdmin, RoleDevelop},
	AssetsDelete:  {RoleAdmin, RoleDevelop},
	AssetsRead:    {RoleAdmin, RoleDevelop, RoleModify, RoleSubmit},
	AssetsRestore: {RoleAdmin, RoleDevelop},
	AssetsPurge:   {RoleAdmin},
	JobsRead:      {RoleAdmin, RoleDevelop, RoleModify, RoleSubmit},
	JobsCancel:    {RoleAdmin, RoleDevelop},
	AuditRead:     {RoleAdmin},

	TemplatesImport:  {RoleAdmin, RoleDevelop},
	TemplatesRead:    {RoleAdmin, RoleDevelop, RoleModify},
	TemplatesExport:  {RoleAdmin, RoleDevelop},
	TemplatesDelete:  {RoleAdmin, RoleDevelop},
	TemplatesRestore: {RoleAdmin, RoleDevelop},
	TemplatesPurge:   {RoleAdmin},

	AddonsCreate:     {RoleAdmin, RoleDevelop},
	AddonsRead:       {RoleAdmin, RoleDevelop, RoleModify, RoleSubmit},
	AddonsModify:     {RoleAdmin, RoleDevelop},
	AddonsDelete:     {RoleAdmin, RoleDevelop},
	EnvironmentsRead: {RoleAdmin, RoleDevelop, RoleModify, RoleSubmit},
	EnvironmentsEdit: {RoleAdmin, RoleDevelop},
	ChartsPush:       {RoleAdmin, RoleDevelop},
	ChartsRead:       {RoleAdmin, RoleDevelop, RoleModify},
	ChartsDelete:     {RoleAdmin, RoleDevelop},
}

// Roles gives the names of all roles, strongest first.
func Roles() []string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return names
}

// Allows reports whether one of the given roles carries perm. Role names that do not exist carry nothing.
func Allows(held []string, perm Permission) bool {
	return slices.ContainsFunc(permissionRoles[perm], func(r Role) bool { return slices.Contains(held, string(r)) })
}
