package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"assetflow/config"
)

func (a *app) keyAddCommand() *cobra.Command {
	return withDomain(a.adminCommand(&cobra.Command{
		Use:   "add USER",
		Short: "Make an access key for a user",
		Long:  "Makes an access key. Its secret key is shown this once: it is stored sealed, for the service alone to open.",
		Example: `  assetflow user key add ci
  assetflow user key add ci -o json > key.json`,
		Args: arguments("USER"),
	}, config.NeedMasterKey, func(ctx context.Context, d *desk, args []string) error {
		u, err := d.user(ctx, args[0])
		if err != nil {
			return err
		}
		accessKey, secretKey, err := d.auth.AddAccessKey(ctx, u.ID)
		if err != nil {
			return err
		}
		return d.emit(map[string]string{"user_id": u.ID, "access_key": accessKey, "secret_key": secretKey}, func(s *sheet) {
			s.fields([2]string{"Access key", accessKey}, [2]string{"Secret key", secretKey})
			d.note("The secret key is not shown again.")
		})
	}))
}

func (a *app) keyListCommand() *cobra.Command {
	return withDomain(a.adminCommand(&cobra.Command{
		Use:     "list USER",
		Short:   "List a user's access keys",
		Long:    "Lists a user's access keys, revoked ones too, without their secret keys.",
		Example: "  assetflow user key list ci",
		Args:    arguments("USER"),
	}, 0, func(ctx context.Context, d *desk, args []string) error {
		u, err := d.user(ctx, args[0])
		if err != nil {
			return err
		}
		keys, err := d.catalog.ListAccessKeys(ctx, u.ID)
		if err != nil {
			return err
		}
		type keyView struct {
			AccessKey   string     `json:"access_key"`
			CreatedAt   time.Time  `json:"created_at"`
			RevokedAt   *time.Time `json:"revoked_at,omitempty"`
			LockedUntil *time.Time `json:"locked_until,omitempty"`
		}
		views := []keyView{}
		rows := [][]string{{"ACCESS KEY", "STATE", "CREATED"}}
		for _, k := range keys {
			state := "valid"
			v := keyView{AccessKey: k.ID, CreatedAt: k.CreatedAt, RevokedAt: k.RevokedAt}
			if k.LockedUntil != nil && d.now().Before(*k.LockedUntil) {
				state, v.LockedUntil = "locked until "+d.time(*k.LockedUntil), k.LockedUntil
			}
			if k.RevokedAt != nil {
				state = "revoked " + d.time(*k.RevokedAt)
			}
			views = append(views, v)
			rows = append(rows, []string{k.ID, state, d.time(k.CreatedAt)})
		}
		return d.emit(map[string]any{"access_keys": views}, func(s *sheet) {
			if len(views) == 0 {
				d.note("No access keys.")
				return
			}
			s.table(rows)
		})
	}))
}

func (a *app) keyRevokeCommand() *cobra.Command {
	return a.adminCommand(&cobra.Command{
		Use:     "revoke ACCESS-KEY",
		Short:   "Make an access key useless for ever",
		Long:    "Revokes an access key: from now on nothing signed with it is accepted. This cannot be undone.",
		Example: "  assetflow user key revoke AKIDEXAMPLE",
		Args:    arguments("ACCESS-KEY"),
	}, 0, func(ctx context.Context, d *desk, args []string) error {
		if err := d.auth.RevokeAccessKey(ctx, args[0]); err != nil {
			return missing(err, "there is no access key %q", args[0])
		}
		return d.emit(map[string]string{"access_key": args[0]}, func(s *sheet) {
			s.line("Revoked %s.", args[0])
		})
	})
}
