package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"assetflow/client"
)

// maxInfo bounds what is read as a replication info: as much as the service takes.
const maxInfo = 1 << 20

func (a *app) assetsReplicationInfoCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "replication-info ASSET",
		Short: "Get what another region needs to copy a digital asset",
		Long: `Writes what another region needs to copy a digital asset, named by its id or name, to stdout, as JSON whatever --output
says. The asset must be ACTIVED. It is a secret: until it expires (its expire_time), whoever has it can make a copy in a
region that has the same key ring. Keep it out of logs, and pipe it where you can.`,
		Example: `  assetflow assets replication-info Ava --profile north | assetflow assets copy --profile south
  (umask 077 && assetflow assets replication-info Ava > info.json)`,
		Args: arguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			info, err := replicationInfo(cmd.Context(), c, args[0])
			if err != nil {
				return conn.blame(err)
			}
			_, err = a.stdout.Write(append(info[:len(info):len(info)], '\n'))
			return err
		},
	}
	flags.add(cmd)
	return cmd
}

func replicationInfo(ctx context.Context, c *client.Client, text string) (client.ReplicationInfo, error) {
	id, err := digitalID(ctx, c, text)
	if err != nil {
		return nil, err
	}
	return c.ReplicationInfo(ctx, id)
}

// copyCommand is one copy.
type copyCommand struct {
	*app
	flags    connectionFlags
	from, to string // profiles
	noWait   bool
}

func (a *app) assetsCopyCommand() *cobra.Command {
	c := &copyCommand{app: a}
	cmd := &cobra.Command{
		Use:   "copy [ASSET|FILE]",
		Short: "Copy a digital asset from one region to another",
		Long: `Copies a digital asset from one region to another, and waits until the copy has ended. The asset keeps its id; one that
was copied before becomes equal to the source again, in a new version.

With --from and --to, which name the profiles of the two regions, ASSET is the id or name of an asset in the first one, and
the command does everything. Variables that say where the service is do not count then: the profiles say it.

Without them, the replication info that ` + "`assetflow assets replication-info`" + ` gave in the other region is read from
FILE, or from stdin where none is named or it is "-". The same replication info again starts no second copy.

The job runs in the region that copies. It goes on without this command, also after Ctrl-C; with --no-wait the command ends
when it has started. You can have one copy running at a time in a project.`,
		Example: `  assetflow assets copy Ava --from north --to south
  assetflow assets replication-info Ava --profile north | assetflow assets copy --profile south
  assetflow assets copy info.json --no-wait -o json | jq -r .job_id`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%s takes one ASSET or FILE, got %q as well", commandName(cmd), args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	c.flags.add(cmd)
	cmd.Flags().StringVar(&c.from, "from", "", "`profile` of the region that has the asset")
	cmd.Flags().StringVar(&c.to, "to", "", "`profile` of the region that is to have it")
	cmd.Flags().BoolVar(&c.noWait, "no-wait", false, "do not wait until the job has ended")
	for _, other := range []string{"endpoint", "project", "instance", "profile", "credentials"} {
		cmd.MarkFlagsMutuallyExclusive("from", other)
		cmd.MarkFlagsMutuallyExclusive("to", other)
	}
	return cmd
}

func (c *copyCommand) run(ctx context.Context, args []string) error {
	switch {
	case (c.from == "") != (c.to == ""):
		return usagef("--from and --to go together: the profile of the region that has the asset, and of the one that is to have it")
	case c.from != "" && len(args) == 0:
		return usagef("assets copy --from --to needs ASSET")
	case c.from != "":
		return c.between(ctx, args[0])
	}
	info, err := c.read(args)
	if err != nil {
		return err
	}
	region, conn, err := c.connect(&c.flags, needProject)
	if err != nil {
		return err
	}
	defer region.Close()
	return conn.blame(c.copy(ctx, region, info, conn.fromName))
}

// read gives a replication info from a file or stdin.
func (c *copyCommand) read(args []string) (client.ReplicationInfo, error) {
	source, name := c.stdin, "stdin"
	if len(args) == 1 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			err = fmt.Errorf("open the replication info: %w", err)
			if uuidForm.MatchString(args[0]) {
				err = &hintError{err: err, hint: "To copy the asset of an id, name both regions with --from and --to."}
			}
			return nil, err
		}
		defer func() { _ = f.Close() }()
		source, name = f, args[0]
	} else if c.terminal(c.stdin) {
		return nil, &usageError{
			text: "what is to be copied?",
			hint: "Name an asset with --from and --to, or the file with a replication info, or pipe one to stdin.",
		}
	}
	content, err := io.ReadAll(io.LimitReader(source, maxInfo+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the replication info: %w", err)
	case len(content) > maxInfo || !isObject(content): // what it is instead is not repeated: it may be a secret all the same
		return nil, usagef("%s holds no replication info: that is a JSON object, as `assetflow assets replication-info` writes it", name)
	}
	return content, nil
}

// between asks one region for the replication info, and has the other one copy.
func (c *copyCommand) between(ctx context.Context, text string) error {
	source, sourceConn, err := c.stored(c.from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, targetConn, err := c.stored(c.to)
	if err != nil {
		return err
	}
	defer target.Close()
	info, err := replicationInfo(ctx, source, text)
	if err != nil {
		return sourceConn.blame(err)
	}
	c.note("Copying %s from %s to %s.", text, c.from, c.to)
	return targetConn.blame(c.copy(ctx, target, info, c.to))
}

// stored gives a client of the region that a profile leads to, and nothing but the profile: the environment cannot mean two
// regions.
func (c *copyCommand) stored(name string) (*client.Client, connection, error) {
	conn, err := c.storedConnection(name, true)
	if err == nil {
		err = c.check(conn, needProject)
	}
	if err != nil {
		return nil, connection{}, err
	}
	return c.newClient(conn.profile), conn, nil
}

// copy starts the copy, and waits for its end where that is wanted. profile is how the region is named in hints; may be empty.
func (c *copyCommand) copy(ctx context.Context, region *client.Client, info client.ReplicationInfo, profile string) error {
	there := ""
	if profile != "" && profile != defaultProfile {
		there = " --profile " + profile
	}
	id, err := region.StartCopy(ctx, info)
	if err != nil {
		return copyNotStarted(err, there)
	}
	if id, err = client.CanonicalJobID(id); err != nil {
		return err
	}
	follow := fmt.Sprintf("Watch it:   assetflow job watch %s%s\nCancel it:  assetflow job cancel %s%s", id, there, id, there)
	if c.noWait {
		return c.emit(map[string]string{"job_id": id}, func(s *sheet) {
			if c.quiet {
				s.line("%s", id)
				return
			}
			s.line("Job %s has started.\n%s", id, follow)
		})
	}
	c.note("Job %s has started.", id)
	job, err := c.await(ctx, region, id, follow, fmt.Sprintf(" Watch it again:  assetflow job watch %s%s", id, there))
	if err != nil {
		return err
	}
	return c.ended(job)
}

// copyNotStarted says how to go on where a copy has not started, or nobody knows.
func copyNotStarted(err error, there string) error {
	var (
		away    *client.UnreachableError
		refusal *client.Error
	)
	switch {
	case errors.As(err, &refusal) && refusal.RunningJob() != "":
		id, _ := client.CanonicalJobID(refusal.RunningJob())
		return &hintError{err: err, hint: fmt.Sprintf("Watch it:   assetflow job watch %s%s\nCancel it:  assetflow job cancel %s%s", id, there, id, there)}
	case errors.As(err, &away) && !isDial(away):
		return &hintError{err: err, hint: fmt.Sprintf(
			"The connection broke. See with `assetflow job list --kind %s%s` whether the copy started nevertheless.", client.KindCopy, there)}
	}
	return err
}
