package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sallyport/proto"
	"sallyport/relay/connection"
	"sallyport/relay/recording"
)

// Recording is what a browser recorded of a login, in one of two forms.
type Recording struct {
	Curl string          `json:"curl,omitempty" doc:"A request that a browser copied as cURL, for bash or for Windows' command line."`
	HAR  json.RawMessage `json:"har,omitempty" doc:"The content of a HAR file that was recorded during a login: as it is, or as a string."`
}

// Imported is the draft that was made of a recording.
type Imported struct {
	Connection DraftConnection  `json:"connection" doc:"As POST /connections and POST /connections/test take it. It may be incomplete."`
	Missing    []string         `json:"missing" doc:"Secrets that the draft uses and whose value the recording does not have."`
	Notes      []recording.Note `json:"notes" doc:"What was understood, what was left out, and what is to be looked at."`
}

// DraftConnection is a connection that is not saved. It is the one answer with
// secrets in it: those that came with the very request.
type DraftConnection struct {
	connection.Spec
	Secrets map[string]string `json:"secrets,omitempty" doc:"Values for {{secret.NAME}} placeholders, taken from the recording. The relay keeps none of them."`
}

type importing struct{ Body document[Recording] }

type importedAnswer struct{ Body Imported }

// importConnection reads a recording. Nothing is saved, nothing is sent.
func (h *handler) importConnection(ctx context.Context, in *importing) (*importedAnswer, error) {
	if actor := actorOf(ctx); !actor.MayEdit() {
		return nil, &proto.Error{Code: proto.CodeForbidden, Detail: "Your role (" + string(actor.Role) + ") does not allow you to make connections.", Hint: "Ask an administrator for the role editor."}
	}
	given, err := in.Body.strict(h.schemas())
	if err != nil {
		return nil, err
	}
	path, text := "curl", given.Curl
	if len(given.HAR) > 0 && string(given.HAR) != "null" {
		if given.Curl != "" {
			return nil, invalid([]FieldError{{Path: "har", Message: "Send either curl or har, not both."}})
		}
		path, text = "har", string(given.HAR)
		if json.Unmarshal(given.HAR, &text) != nil {
			text = string(given.HAR)
		}
	}
	draft, err := recording.Read(text)
	var unreadable *recording.Unreadable
	if errors.As(err, &unreadable) {
		return nil, invalid([]FieldError{{Path: path, Message: unreadable.Message}})
	} else if err != nil {
		return nil, err
	}
	out := Imported{Connection: DraftConnection{draft.Spec, draft.Secrets}, Missing: append([]string{}, draft.Missing...), Notes: append([]recording.Note{}, draft.Notes...)}
	return &importedAnswer{Body: out}, nil
}

// importLimit is the body limit of that call: a HAR is longer than any
// connection.
const importLimit = recording.MaxText + bodyLimit

func importAnswers(op *huma.Operation) {
	op.MaxBodyBytes = importLimit + 1
	op.Description = "Makes the draft of a connection from a login that a browser recorded. Nothing is saved and nothing is sent; secrets come back as they were given, so that the draft can be tested and saved as it is."
}

// limitOf is how long the body of a call may be.
func limitOf(r *http.Request) int64 {
	if r.URL.Path == Prefix+"/connections/import" {
		return importLimit
	}
	return bodyLimit
}
