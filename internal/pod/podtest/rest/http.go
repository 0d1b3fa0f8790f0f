package rest

import "net/http"

// HTTP is a client with connections of its own. The default one will not do in
// tests: whenever one closes its httptest.Server, that closes connections of
// http.DefaultTransport, on which another may be sending.
var HTTP = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
