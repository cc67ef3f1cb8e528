package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"sallyport/internal/logging"
)

func newMigrate(o outside) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date, and do nothing else",
		Long: "Bring the database's schema up to date. serve does so by itself; this is for those who want it done\n" +
			"before, by another account, or apart from the start.",
		Args: cobra.NoArgs,
	}
	load := addOptions(cmd, o, "data", "database", "log-level", "log-format")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load()
		if err != nil {
			return err
		}
		log, _, err := logging.New(logging.Options{Format: c.LogFormat, Level: c.LogLevel, Output: o.err})
		if err != nil {
			return err
		}
		if err := openData(c.Data); err != nil {
			return err
		}
		s, err := openStore(cmd.Context(), c, log)
		if err != nil {
			return err
		}
		defer s.Close()
		version, err := s.SchemaVersion(cmd.Context())
		if err != nil {
			return err
		}
		fmt.Fprintf(o.out, "The %s database is at schema %d.\n", s.Engine(), version)
		return nil
	}
	return cmd
}
