package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/relay/account"
	"sallyport/relay/connection"
	"sallyport/relay/recording"
)

// fillView is the panel that fills the form from what a browser recorded.
type fillView struct {
	Text  string // what was pasted, where it may be needed again
	Error string
	Notes []recording.Note
	Kept  []keptField
}

// Open says whether there is something to see.
func (v fillView) Open() bool { return v.Error != "" || len(v.Notes) > 0 || v.Text != "" }

// keptField is a field in which something else was typed than was recorded.
type keptField struct {
	Label, Recorded string
	Do              string // the button that takes it over; "": there is none
}

// fill fills the form from the recording that was pasted. What was typed stays,
// unless all is to be taken over: the panel then offers what was recorded.
func (h *handler) fill(w http.ResponseWriter, r *http.Request, actor account.Actor, id string, values formValues, over bool) error {
	text := r.PostForm.Get("fill.text")
	panel := fillView{Text: text}
	draft, err := recording.Read(text)
	var unreadable *recording.Unreadable
	status := http.StatusOK
	switch {
	case errors.As(err, &unreadable):
		panel.Error, status = unreadable.Message, http.StatusUnprocessableEntity
	case err != nil:
		return err
	default:
		panel.Notes, panel.Kept = draft.Notes, values.take(draft, over)
		if len(panel.Kept) == 0 {
			panel.Text = "" // it holds the password
		}
	}
	view := newFormView(values, nil, nil)
	view.Dirty, view.Fill = true, panel
	return h.showForm(w, r, actor, status, id, view)
}

// take puts a draft into the form and returns what it left as it was typed.
func (v *formValues) take(d recording.Draft, over bool) (kept []keptField) {
	untouched := newFormValues("").fields
	recorded := recordedFields(d.Spec)
	for _, f := range formFields() {
		value, known := recorded[f.path]
		typed := v.fields[f.path]
		switch {
		case !known || typed == value:
		case over || strings.TrimSpace(typed) == "" || typed == untouched[f.path]:
			v.fields[f.path] = value
		default:
			kept = append(kept, keptField{Label: f.label, Recorded: value, Do: "set:" + f.path + "=" + value})
		}
	}
	for _, h := range d.Spec.Headers {
		kept = append(kept, v.takeHeader(h, over)...)
	}
	names := append([]string{}, d.Missing...)
	for name := range d.Secrets {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if v.takeSecret(name, d.Secrets[name], over) {
			kept = append(kept, keptField{Label: "Secret " + name, Recorded: "another value, which is not shown"})
		}
	}
	return kept
}

// recordedFields are the fields that a draft has something for.
func recordedFields(s connection.Spec) map[string]string {
	auth := map[string]string{}
	showAuth(auth, s.Auth)
	fields := map[string]string{
		"name": s.Name, "mode": string(s.Mode), "baseUri": s.BaseURI, "mediaType": string(s.MediaType), "auth.type": string(s.Auth.Type),
	}
	for path, value := range auth {
		if strings.HasPrefix(path, "auth."+string(s.Auth.Type)+".") && value != "" {
			fields[path] = value
		}
	}
	if s.Ping.URI != "" {
		fields["ping.method"], fields["ping.uri"] = cmp.Or(s.Ping.Method, "GET"), s.Ping.URI
		for path, value := range map[string]string{"ping.body": s.Ping.Body, "ping.successPath": s.Ping.SuccessPath, "ping.successValues": strings.Join(s.Ping.SuccessValues, "\n")} {
			if value != "" {
				fields[path] = value
			}
		}
	}
	return fields
}

func (v *formValues) takeHeader(h connection.Header, over bool) (kept []keptField) {
	for i, known := range v.headers {
		if !strings.EqualFold(known.Name, h.Name) {
			continue
		}
		switch {
		case known.Value == h.Value:
		case over || known.Value == "":
			v.headers[i].Value = h.Value
		default:
			kept = []keptField{{Label: "Header " + h.Name, Recorded: h.Value}}
		}
		return kept
	}
	v.headers = append(v.headers, h)
	return nil
}

// takeSecret reports whether another value was kept.
func (v *formValues) takeSecret(name, value string, over bool) (kept bool) {
	for i, known := range v.secrets {
		if known.name != name {
			continue
		}
		switch {
		case value == "" || known.value == value:
		case over || known.value == "" && !known.set:
			v.secrets[i].value = value
		default:
			return true
		}
		return false
	}
	v.secrets = append(v.secrets, secretValue{name: name, value: value})
	return false
}
