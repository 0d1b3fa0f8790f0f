package podtest

import "github.com/tricircle/tricircle/internal/pod/podtest/rest"

// HTTP is the client for tests, instead of http.DefaultClient: see rest.HTTP.
var HTTP = rest.HTTP
