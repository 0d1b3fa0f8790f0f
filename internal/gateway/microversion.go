package gateway

import "github.com/tricircle/tricircle/internal/microversion"

// Microversion is an API version such as 2.93.
type Microversion = microversion.Version

// Window is the range of versions that a service offers.
type Window = microversion.Window

// ParseMicroversion reads "2.93".
func ParseMicroversion(s string) (Microversion, bool) { return microversion.Parse(s) }
