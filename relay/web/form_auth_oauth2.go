package web

import (
	"cmp"
	"strings"

	"sallyport/relay/connection"
)

func oauth2Form() authForm {
	return authForm{kind: connection.AuthOAuth2, label: "OAuth 2.0", show: showOAuth2, read: readOAuth2, fields: []formField{
		{path: "auth.oauth2.grant", label: "Grant", required: true, class: "half",
			help: "Client credentials: the relay signs in by itself. Authorization code: a person signs in with the application once.",
			choices: []choice{{Value: connection.ClientCredentials, Label: "Client credentials"},
				{Value: connection.AuthorizationCode, Label: "Authorization code"}}},
		{path: "auth.oauth2.authorizationUri", label: "Authorization URI", required: true, class: "only-oauth2-code", inputClass: "code", inputMode: "url", placeholder: "https://login.example.com/authorize",
			help: "Where a person signs in. Your browser has to reach it."},
		{path: "auth.oauth2.tokenUri", label: "Token URI", required: true, inputClass: "code", inputMode: "url", placeholder: "https://login.example.com/token",
			help: "Where tokens are asked for: by the relay, or on-premise by the agent. A whole URI, or relative to the base URI."},
		{path: "auth.oauth2.revocationUri", label: "Revocation URI", inputClass: "code", inputMode: "url", placeholder: "https://login.example.com/revoke",
			help: "Where the application is told that a token is not needed any more, when the connection is signed out or deleted. Empty: tokens expire by themselves."},
		{path: "auth.oauth2.clientId", label: "Client ID", required: true, inputClass: "code", placeholder: "sallyport",
			help: "By which the application knows the relay. It gives you the ID when you register a client there."},
		{path: "auth.oauth2.clientSecret", label: "Client secret", inputClass: "code", secret: "client", placeholder: "{{secret.client}}",
			help: "What you type is kept as a secret. Or write {{secret.NAME}}. Empty for a public client with the grant authorization code."},
		{path: "auth.oauth2.scopes", label: "Scopes", inputClass: "code", placeholder: "orders.read offline_access",
			help: "What the token is asked to be good for, separated by blanks. Many applications refresh tokens only with offline_access."},
		{path: "auth.oauth2.clientAuthentication", label: "Client authentication", class: "half",
			help:    "How client ID and secret are sent to the token URI.",
			choices: []choice{{Value: connection.ClientByBasic, Label: "Basic"}, {Value: connection.ClientInBody, Label: "In the body"}}},
		{path: "auth.oauth2.parameters", label: "Further parameters", rows: 2, placeholder: "audience=https://api.example.com",
			help: "One a line, as name=value. Sent with the authorization and the token request, such as audience or resource."},
	}}
}

func showOAuth2(fields map[string]string, a connection.Auth) {
	how := a.OAuth2
	if how == nil {
		how = &connection.OAuth2Auth{}
	}
	fields["auth.oauth2.grant"] = cmp.Or(how.Grant, connection.ClientCredentials)
	fields["auth.oauth2.authorizationUri"] = how.AuthorizationURI
	fields["auth.oauth2.tokenUri"] = how.TokenURI
	fields["auth.oauth2.revocationUri"] = how.RevocationURI
	fields["auth.oauth2.clientId"] = how.ClientID
	fields["auth.oauth2.clientSecret"] = how.ClientSecret
	fields["auth.oauth2.scopes"] = strings.Join(how.Scopes, " ")
	fields["auth.oauth2.clientAuthentication"] = cmp.Or(how.ClientAuthentication, connection.ClientByBasic)
	fields["auth.oauth2.parameters"] = pairLines(how.Parameters)
}

func readOAuth2(fields map[string]string, a *connection.Auth) (mistakes []connection.FieldError) {
	a.OAuth2 = &connection.OAuth2Auth{
		Grant: fields["auth.oauth2.grant"], TokenURI: fields["auth.oauth2.tokenUri"], RevocationURI: fields["auth.oauth2.revocationUri"],
		ClientID: fields["auth.oauth2.clientId"], ClientSecret: fields["auth.oauth2.clientSecret"],
		Scopes: strings.Fields(fields["auth.oauth2.scopes"]), ClientAuthentication: fields["auth.oauth2.clientAuthentication"],
	}
	if a.OAuth2.Grant != connection.ClientCredentials {
		a.OAuth2.AuthorizationURI = fields["auth.oauth2.authorizationUri"]
	}
	a.OAuth2.Parameters, mistakes = readPairs("auth.oauth2.parameters", fields["auth.oauth2.parameters"], "=")
	return mistakes
}
