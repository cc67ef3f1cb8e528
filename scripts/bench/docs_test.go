package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

const docs = "../../docs"

// The plot and the table in the documentation are those of its figures: who
// changes how figures are shown writes them anew, with --from and --docs.
func TestDocumentationShowsItsFigures(t *testing.T) {
	r, err := readReport(filepath.Join(docs, docsJSON))
	if err != nil {
		t.Fatal(err)
	}
	plot, err := os.ReadFile(filepath.Join(docs, docsSVG))
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, plot)
	if !bytes.Equal(plot, r.draw()) {
		t.Errorf("%s is not drawn from %s", docsSVG, docsJSON)
	}
	page, err := os.ReadFile(filepath.Join(docs, docsPage))
	if err != nil {
		t.Fatal(err)
	}
	if renewed, err := r.intoPage(page); err != nil || !bytes.Equal(page, renewed) {
		t.Errorf("%s has another table than that of %s: %v", docsPage, docsJSON, err)
	}
}

func TestAPageWithoutMarksIsLeftAlone(t *testing.T) {
	folder := t.TempDir()
	page := filepath.Join(folder, docsPage)
	if err := os.WriteFile(page, []byte("# Figures\n"+tableBegins), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sampleReport().writeDocs(folder); !errors.Is(err, errNoTable) {
		t.Errorf("got %v", err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("there are %v, %v", files, err)
	}
}
