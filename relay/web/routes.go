package web

import (
	"net/http"

	"sallyport/relay/account"
	"sallyport/relay/authorize"
)

// routes are all the doors of the pages. Those below "signed" need a person
// who is signed in; the others are open to anyone.
func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	open := mux.HandleFunc
	signed := func(pattern string, page signedPage) { mux.HandleFunc(pattern, h.signedIn(page)) }

	open("GET /assets/{fingerprint}/{name}", h.assets.serve)
	open("GET /sign-in", h.showSignIn)
	open("POST /sign-in", h.signInWithPassword)
	open("GET /sign-in/link/{token}", h.showSignInLink)
	open("POST /sign-in/link/{token}", h.redeemSignInLink)
	open("POST /sign-out", h.signOut)

	signed("GET /{$}", h.home)
	signed("GET /connections", h.listConnections)
	signed("GET /connections/new", h.newConnection)
	signed("POST /connections/new", h.submitConnection)
	signed("GET /connections/name", h.nameTaken)
	signed("GET /connections/{id}", h.showConnection)
	signed("GET /connections/{id}/edit", h.editConnection)
	signed("POST /connections/{id}/edit", h.submitConnection)
	signed("POST /connections/{id}/test", h.testConnection)
	signed("POST /connections/{id}/compare", h.compareConnection)
	signed("POST /connections/{id}/send", h.sendRequest)
	signed("POST /connections/{id}/test-notice", h.sendTestNotice)
	signed("POST /connections/{id}/sign-in", h.signInNow)
	signed("POST /connections/{id}/sign-out", h.dropSession)
	signed("POST /connections/{id}/authorize", h.beginAuthorization)
	signed("GET "+authorize.CallbackPath, h.finishAuthorization)
	signed("GET /connections/{id}/delete", h.confirmDeleteConnection)
	signed("POST /connections/{id}/delete", h.deleteConnection)

	signed("GET /agents", h.listAgents)
	signed("GET /agents/options", h.agentOptions)
	signed("GET /agents/new", h.newAgent)
	signed("POST /agents/new", h.createAgent)
	signed("GET /agents/{id}", h.showAgent)
	signed("GET /agents/{id}/install", h.showInstall)
	signed("POST /agents/{id}/install", h.createEnrolment)
	signed("POST /agents/{id}/rename", h.renameAgent)
	signed("GET /agents/{id}/remove", h.confirmRemoveAgent)
	signed("POST /agents/{id}/remove", h.removeAgent)
	signed("POST /agents/{id}/machines/{machine}/remove", h.removeMachine)

	signed("GET /activity", h.showActivity)
	signed("GET /activity/requests", h.showRequests)

	signed("GET /settings", h.showSettings)
	signed("GET /settings/people", h.showPeople)
	signed("POST /settings/people", h.invite)
	signed("POST /settings/people/{id}", h.changePerson)
	signed("POST /settings/password", h.setPassword)
	signed("POST /settings/tokens", h.createToken)
	signed("POST /settings/tokens/{id}/revoke", h.revokeToken)

	signed("/", h.noSuchPage)
	return mux
}

// A signedPage answers a signed-in person. An error that it returns becomes
// the page that explains it.
type signedPage func(w http.ResponseWriter, r *http.Request, actor account.Actor) error
