package probe

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"sallyport/relay/connection"
	"sallyport/relay/session"
)

// pageLimit is how much of a page is looked at, in bytes.
const pageLimit = 256 << 10

var (
	passwordField = regexp.MustCompile(`(?i)<input[^>]+type\s*=\s*["']?password`)
	pageTitle     = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	formAction    = regexp.MustCompile(`(?i)<form[^>]+action\s*=\s*["']([^"']+)["']`)
	loginWord     = regexp.MustCompile(`(?i)log[ _-]?in|log[ _-]?on|sign[ _-]?in|anmeld|einloggen|connexion|acceso`)
	loginPath     = regexp.MustCompile(`(?i)(?:^|[/_.-])(?:log-?in|log-?on|sign-?in|sso|saml2?|oauth2?|adfs|cas|idp|auth)(?:[/_.-]|$)`)
)

// pages: an HTML page came where an API's answer was expected.
func (e evidence) pages() *advice {
	if !e.answered() {
		return nil
	}
	to := e.exchange.Last().URL
	redirected := len(e.exchange.Hops) > 1
	if s := e.status(); s >= 300 && s < 400 {
		if u, err := to.Parse(e.header().Get("Location")); err == nil && e.header().Get("Location") != "" {
			to, redirected = u, true
		}
	}
	page, isPage := e.page()
	login := isPage && isLoginPage(page)
	if e.step == StepSignIn {
		if e.why == "" || e.why == session.AllCookiesRefused {
			return nil
		}
		return e.signInPage(to, redirected, isPage, login, page)
	}
	switch {
	case redirected && (login || loginPath.MatchString(to.Path) && !loginPath.MatchString(e.exchange.Hops[0].URL.Path)):
		return &advice{ID: "login-redirect", Text: fmt.Sprintf("The ping was redirected to a login page, %s: the application does not see a session. %s", bare(to), e.whySignedOut()), Fix: e.signIn()}
	case login:
		return &advice{ID: "login-page", Text: "The application answered the ping with its HTML login page: it does not see a session. " + e.whySignedOut(), Fix: e.signIn()}
	case isPage && e.status() < 300 && (e.verdict.cause == causeUnreadable || e.verdict.cause == causeNothing):
		return &advice{ID: "html-page", Text: fmt.Sprintf("The answer is an HTML page%s, made for people and not for programs. Check the base URI's path and the ping URI: APIs mostly lie below a path such as /api.", titled(page))}
	}
	return nil
}

// whySignedOut names the likeliest causes.
func (e evidence) whySignedOut() string {
	if e.c.Auth.Type == connection.AuthNone {
		return "Choose the authentication type cookie and describe the sign-in."
	}
	if !e.c.Auth.Type.SignsIn() {
		return "It may not accept the credentials, or the base URI is not that of the API."
	}
	return "The sign-in may not have worked although it looked so (name its success status code), or the base URI is not that of the API."
}

// signIn offers a sign-in where there is none.
func (e evidence) signIn() *Fix {
	if e.c.Auth.Type != connection.AuthNone {
		return nil
	}
	return &Fix{Label: "Sign in by cookie", Field: "auth.type", Value: string(connection.AuthCookie)}
}

// signInPage: a sign-in was answered with a page.
func (e evidence) signInPage(to *url.URL, redirected, isPage, login bool, page string) *advice {
	switch {
	case login && e.c.Auth.Cookie.Method == http.MethodGet:
		h := &advice{ID: "login-page", Text: "The cookie URI answers with the login page itself: it shows the form and signs nobody in. Use POST, to the URI that the form is sent to" + e.formTarget(page) + "."}
		h.Fix = &Fix{Label: "Use POST", Field: "auth.cookie.method", Value: http.MethodPost}
		return h
	case login:
		return &advice{ID: "login-page", Text: "The application set no cookie that signs in, and showed its login page again: the user name or the password is wrong, a field of the body has another name, or the form is sent elsewhere" + e.formTarget(page) + "."}
	case redirected && e.status() < 400 && len(e.exchange.Hops) > 0 && loginPath.MatchString(to.Path):
		return &advice{ID: "login-redirect", Text: fmt.Sprintf("The sign-in was redirected to %s, which looks like a login page: the user name or the password may be wrong, or the application signs in by a separate service.", bare(to))}
	case isPage && e.status() < 300:
		return &advice{ID: "html-page", Text: fmt.Sprintf("The application answered %d, but set no cookie. Its answer is an HTML page%s: the cookie URI may not be the one that signs in. Check the base URI's path and the cookie URI.", e.status(), titled(page))}
	}
	return nil
}

// page is the answer as an HTML page.
func (e evidence) page() (string, bool) {
	body := e.exchange.Body[:min(len(e.exchange.Body), pageLimit)]
	contentType := e.header().Get("Content-Type")
	if formatOf(contentType, connection.Plain) != formatHTML && !looksLikeHTML(body) {
		return "", false
	}
	text, ok := readable(contentType, body, true)
	if !ok || !strings.Contains(text, "<") {
		return "", false // labelled as HTML, and is none
	}
	return text, true
}

func isLoginPage(page string) bool {
	return passwordField.MatchString(page) || loginWord.MatchString(title(page))
}

func title(page string) string {
	if m := pageTitle.FindStringSubmatch(page); m != nil {
		return shorten(strings.Join(strings.Fields(html.UnescapeString(m[1])), " "), 60)
	}
	return ""
}

func titled(page string) string {
	if t := title(page); t != "" {
		return " (“" + t + "”)"
	}
	return ""
}

// formTarget is where the page's form is sent, as part of a sentence.
func (e evidence) formTarget(page string) string {
	m := formAction.FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	to, err := e.exchange.Last().URL.Parse(html.UnescapeString(m[1]))
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || bare(to) == bare(e.exchange.Last().URL) {
		return ""
	}
	return " (" + bare(to) + ")"
}
