package command

import (
	"time"

	"github.com/spf13/cobra"

	"assetflow/replication"
)

func (a *app) keyRingCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key-ring [ID]",
		Short: "Make a replication key ring",
		Long: `Makes a key ring with one random key and writes it to stdout. Regions that copy digital assets from one another seal
what they say to each other with it: give the same ring to every api of every region, and keep it secret. The key's ID is
the month unless you name another; it is no secret.

To replace a key, make another ring and put its key into the one in use: docs/replication.md says in which order.`,
		Example: `  assetflow key-ring > key-ring.json && chmod 600 key-ring.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("key-ring takes one ID at most")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			id := time.Now().UTC().Format("2006-01")
			if len(args) > 0 {
				id = args[0]
			}
			text := replication.GenerateKeyRing(id)
			if _, err := replication.ParseKeyRing(text); err != nil {
				return usagef("%q cannot be a key's id: want 1 to 64 letters, digits, dots, underscores and hyphens", id)
			}
			return a.emit(map[string]string{"key_ring": text}, func(s *sheet) {
				s.line("%s", text)
			})
		},
	}
}
