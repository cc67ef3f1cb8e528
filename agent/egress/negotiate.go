package egress

// systemKinds are the schemes that ask the operating system for credentials.
var systemKinds []kind
