package catalog

// SetFailpoint makes a commit call do with the name of each step it has done; an error stops it there.
func (c *Catalog) SetFailpoint(do func(step string) error) { c.failpoint = do }

// SQL runs a statement behind the catalog's back.
func (c *Catalog) SQL(statement string) error {
	_, err := c.writer.Exec(statement)
	return err
}
