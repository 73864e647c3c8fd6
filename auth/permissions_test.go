package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/auth"
)

// The table once more, as it is meant, so that a change of it is a change of two files.
func TestPermissions(t *testing.T) {
	t.Parallel()
	for perm, want := range map[auth.Permission]string{
		auth.AssetsImport:  "Admin Develop",
		auth.AssetsExport:  "Admin Develop Modify",
		auth.AssetsEdit:    "Admin Develop",
		auth.AssetsCopy:    "Admin Develop",
		auth.AssetsDelete:  "Admin Develop",
		auth.AssetsRead:    "Admin Develop Modify Submit",
		auth.AssetsRestore: "Admin Develop",
		auth.AssetsPurge:   "Admin",
		auth.JobsRead:      "Admin Develop Modify Submit",
		auth.JobsCancel:    "Admin Develop",
		auth.AuditRead:     "Admin",

		auth.AddonsCreate:     "Admin Develop",
		auth.AddonsRead:       "Admin Develop Modify Submit",
		auth.AddonsModify:     "Admin Develop",
		auth.AddonsDelete:     "Admin Develop",
		auth.EnvironmentsRead: "Admin Develop Modify Submit",
		auth.EnvironmentsEdit: "Admin Develop",
		auth.ChartsPush:       "Admin Develop",
		auth.ChartsRead:       "Admin Develop Modify",
		auth.ChartsDelete:     "Admin Develop",

		"unknown": "",
	} {
		got := ""
		for _, role := range auth.Roles() {
			if auth.Allows([]string{role}, perm) {
				got += " " + role
			}
		}
		if got != "" {
			got = got[1:]
		}
		require.Equal(t, want, got, perm)
		require.False(t, auth.Allows(nil, perm), perm)
		require.False(t, auth.Allows([]string{"admin", ""}, perm), perm)
	}
	require.True(t, auth.Allows([]string{"Submit", "Develop"}, auth.AssetsImport), "one of several roles is enough")
}
