package command

import (
	"time"

	"github.com/spf13/cobra"

	"assetflow/payload"
	"assetflow/replication"
)

func (a *app) keyRingCommand() *cobra.Command {
	payloads := false
	cmd := &cobra.Command{
		Use:   "key-ring [ID]",
		Short: "Make a key ring for replication, or for payloads",
		Long: `Makes a key ring with one random key and writes it to stdout. Regions that copy digital assets from one another seal
what they say to each other with it: give the same ring to every api of every region, and keep it secret. The key's ID is
the month unless you name another; it is no secret.

With --payloads the ring is for what Temporal keeps of jobs: give the same one to every api and worker, and keep a copy.

To replace a key, make another ring and put its key into the one in use: docs/replication.md and docs/encryption.md say
in which order.`,
		Example: `  assetflow key-ring > key-ring.json && chmod 600 key-ring.json
  assetflow key-ring --payloads > payload-keys.json && chmod 600 payload-keys.json`,
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
			generate, parse := replication.GenerateKeyRing, replication.ParseKeyRing
			if payloads {
				generate, parse = payload.GenerateKeys, payload.ParseKeys
			}
			text := generate(id)
			if _, err := parse(text); err != nil {
				return usagef("%q cannot be a key's id: want 1 to 64 letters, digits, dots, underscores and hyphens", id)
			}
			return a.emit(map[string]string{"key_ring": text}, func(s *sheet) {
				s.line("%s", text)
			})
		},
	}
	cmd.Flags().BoolVar(&payloads, "payloads", false, "make one for the payloads of Temporal")
	return cmd
}
