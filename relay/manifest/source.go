package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileLimit is far above what connections take, and keeps a mistaken path from
// filling the memory.
const fileLimit = 16 << 20

// ReadFiles reads files and directories, the latter with all that is below them
// and ends in .yaml, .yml or .json; names that begin with a dot are passed over.
// The path - is the standard input. Where files are faulty, the error is Faults,
// and the documents are what could be read of them all the same.
func (s *Schema) ReadFiles(paths []string, stdin io.Reader) ([]*Document, error) {
	var docs []*Document
	var faults Faults
	read := func(name string, text []byte) {
		found, bad := s.parse(name, text)
		docs, faults = append(docs, found...), append(faults, bad...)
	}
	for _, path := range paths {
		if path == "-" {
			text, err := readLimited(stdin)
			if err != nil {
				return nil, fmt.Errorf("standard input: %w", err)
			}
			read("standard input", text)
			continue
		}
		files, err := filesBelow(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := readFile(file)
			if err != nil {
				return nil, err
			}
			read(file, text)
		}
	}
	return docs, faults.orNil()
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readLimited(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

func readLimited(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, fileLimit+1))
	if err == nil && len(text) > fileLimit {
		err = errors.New("longer than 16 MiB")
	}
	return text, err
}

// filesBelow is path itself or, where it is a directory, what it holds.
func filesBelow(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && p != path {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch strings.ToLower(filepath.Ext(p)) {
		case ".yaml", ".yml", ".json":
			if !d.IsDir() {
				files = append(files, p)
			}
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: no file in it ends in .yaml, .yml or .json", path)
	}
	return files, err
}

// nodes reads the documents of a file, as YAML nodes whatever they are written
// in: they know their lines.
func nodes(name string, text []byte) ([]*yaml.Node, *Fault) {
	if found, err := jsonNodes(text); err == nil {
		return found, nil
	} else if strings.EqualFold(filepath.Ext(name), ".json") {
		return nil, &Fault{File: name, Line: err.line, Message: "not JSON: " + err.Error() + "."}
	}
	var found []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, yamlFault(name, err)
		}
		// Decoding once into values bounds what aliases of aliases may weigh. What
		// else it finds, such as keys that come twice, is found again with the rest.
		var values any
		var typed *yaml.TypeError
		if err := doc.Decode(&values); err != nil && !errors.As(err, &typed) {
			return nil, yamlFault(name, err)
		}
		if len(doc.Content) == 1 && plain(doc.Content[0]).Tag != "!!null" {
			found = append(found, doc.Content[0])
		}
	}
}

// yamlFault takes the line out of the YAML reader's message, where it stands at
// the beginning.
func yamlFault(name string, err error) *Fault {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	message = strings.TrimPrefix(message, "unmarshal errors:\n  ")
	f := &Fault{File: name, Message: message + "."}
	if n, _ := fmt.Sscanf(message, "line %d: ", &f.Line); n == 1 {
		_, f.Message, _ = strings.Cut(message, ": ")
		f.Message = "not YAML: " + f.Message + "."
	}
	return f
}

// jsonError is where a text ceases to be JSON.
type jsonError struct {
	error
	line int
}

// jsonNodes reads JSON values, one after the other. The YAML reader is not asked,
// since it knows neither tabs between tokens nor surrogate pairs.
func jsonNodes(text []byte) ([]*yaml.Node, *jsonError) {
	r := jsonReader{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), line: 1}
	r.decoder.UseNumber()
	var found []*yaml.Node
	for {
		n, err := r.value()
		if errors.Is(err, io.EOF) && len(found) > 0 {
			return found, nil
		}
		if err != nil {
			return nil, &jsonError{err, r.line}
		}
		found = append(found, n)
	}
}

// jsonReader counts the lines of a JSON text on its way through.
type jsonReader struct {
	text    []byte
	decoder *json.Decoder
	at      int // up to here, line is counted
	line    int
}

func (r *jsonReader) token() (json.Token, error) {
	token, err := r.decoder.Token()
	end := int(r.decoder.InputOffset())
	r.line += bytes.Count(r.text[r.at:end], []byte("\n")) // no token goes over a line's end
	r.at = end
	return token, err
}

func (r *jsonReader) value() (*yaml.Node, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	return r.node(token)
}

func (r *jsonReader) node(token json.Token) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line}
	switch v := token.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if v == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for r.decoder.More() {
			item, err := r.value()
			if err != nil {
				return nil, unexpectedEnd(err)
			}
			n.Content = append(n.Content, item)
		}
		_, err := r.token() // the closing one
		return n, unexpectedEnd(err)
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Number:
		n.Tag, n.Value = "!!float", v.String()
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(v)
	default:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
