package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"

	"sallyport/relay/account"
)

// views are the pages. Each is a template of its own over the shared layout
// and parts.
type views struct {
	signIn, signInLink, failure, authorize              *template.Template
	connections, connection, connectionForm, connDelete *template.Template
	agents, agent, agentNew, agentInstall, agentRemove  *template.Template
	settings                                            *template.Template
	activity, people                                    *template.Template
	parts                                               *template.Template // what is sent by itself, such as one step of a test
}

func loadViews(from fs.FS, functions template.FuncMap) (*views, error) {
	parts, err := template.New("parts").Funcs(functions).Option("missingkey=error").
		ParseFS(from, "templates/layout.html", "templates/partials/*.html")
	if err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	v := &views{parts: template.Must(parts.Clone())}
	for file, view := range map[string]**template.Template{
		"sign_in":           &v.signIn,
		"sign_in_link":      &v.signInLink,
		"error":             &v.failure,
		"authorize":         &v.authorize,
		"connections":       &v.connections,
		"connection":        &v.connection,
		"connection_form":   &v.connectionForm,
		"connection_delete": &v.connDelete,
		"agents":            &v.agents,
		"agent":             &v.agent,
		"agent_new":         &v.agentNew,
		"agent_install":     &v.agentInstall,
		"agent_remove":      &v.agentRemove,
		"settings":          &v.settings,
		"activity":          &v.activity,
		"people":            &v.people,
	} {
		page, err := parts.Clone()
		if err != nil {
			return nil, fmt.Errorf("load template %s: %w", file, err)
		}
		if *view, err = page.ParseFS(from, "templates/"+file+".html"); err != nil {
			return nil, fmt.Errorf("load template %s: %w", file, err)
		}
		if (*view).Lookup("main") == nil {
			return nil, fmt.Errorf("load template %s: it does not define main", file)
		}
	}
	return v, nil
}

// page is what the layout is given.
type page struct {
	Title   string
	Section string // of the navigation
	Actor   account.Actor
	Notice  *notice
	Body    any
}

// SignedIn tells the layout whether there is somebody to greet.
func (p page) SignedIn() bool { return p.Actor.ID != "" }

// notice is a message above a page.
type notice struct {
	Kind, Icon, Text string
	Link             *link
}

type link struct{ Href, Text string }

// render writes a page once it is made whole: a template that fails leaves no
// half page.
func (h *handler) render(w http.ResponseWriter, status int, view *template.Template, p page) error {
	var b bytes.Buffer
	if err := view.ExecuteTemplate(&b, "layout", p); err != nil {
		return fmt.Errorf("render %q: %w", p.Title, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader is gone, if this fails
	return nil
}

// part makes the markup of one shared part.
func (h *handler) part(name string, data any) (string, error) {
	var b bytes.Buffer
	if err := h.views.parts.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("render %s: %w", name, err)
	}
	return b.String(), nil
}
