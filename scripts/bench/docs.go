package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Files of the documentation that show figures.
const (
	docsJSON = "bench.json"
	docsSVG  = "bench.svg"
	docsPage = "development.md"
)

// What stands around the table in docsPage.
const (
	tableBegins = "<!-- the table of make bench -->\n```\n"
	tableEnds   = "```\n<!-- end of the table -->\n"
)

var errNoTable = errors.New("the marks around the table are gone")

// writeDocs puts the figures, the plot and the table where the documentation
// has them, all of the same run.
func (r *report) writeDocs(folder string) error {
	page := filepath.Join(folder, docsPage)
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	if text, err = r.intoPage(text); err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if err := r.write(filepath.Join(folder, docsJSON)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, docsSVG), r.draw(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(page, text, 0o644)
}

// intoPage replaces the table in a page.
func (r *report) intoPage(page []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(page, []byte(tableBegins))
	_, after, ended := bytes.Cut(rest, []byte(tableEnds))
	if !found || !ended {
		return nil, errNoTable
	}
	return fmt.Appendf(nil, "%s%s%s%s%s", before, tableBegins, r.summary(), tableEnds, after), nil
}
