// Package web is the pages: what a person sees of the relay. Package cli
// mounts it at "/"; package api answers below /api.
//
// Pages are made on the server from html/template and work without
// JavaScript. The small ES modules in assets/ add what is live: a test's steps
// as they happen, agents that come online, times that keep up. Where a page
// updates in place, the module fetches the same route and takes the part that
// changed from it, so that nothing is drawn in two languages.
//
// The package is a door. It reads forms, calls the registry, the prober and
// the gateway, and shows what they say. It never decides who may do what, never
// touches SQL, and never writes a secret into a page, but for giving back to
// its sender, unsaved, what was just typed into a form with a mistake in it.
package web
