package pod

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// TLS says how to reach Keystone and the pod's services over HTTPS.
type TLS struct {
	CACert   string // PEM file; default: the system's
	Cert     string // PEM file of a client certificate
	Key      string // and its key
	Insecure bool   // trust any certificate
	config   *tls.Config
}

// Load reads the files once.
func (t TLS) Load() (TLS, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure}
	if t.CACert != "" {
		pem, err := os.ReadFile(t.CACert)
		if err != nil {
			return t, fmt.Errorf("cannot read the CA certificates: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return t, fmt.Errorf("no certificate in %s", t.CACert)
		}
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return t, fmt.Errorf("cannot read the client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	t.config = config
	return t, nil
}

func (t TLS) client() *http.Client {
	return &http.Client{
		Timeout:       loginTimeout,
		CheckRedirect: stay,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: DefaultConnectTimeout}).DialContext,
			TLSClientConfig:       t.config.Clone(),
			TLSHandshakeTimeout:   2 * DefaultConnectTimeout,
			ResponseHeaderTimeout: loginTimeout,
			MaxIdleConnsPerHost:   16,
			MaxConnsPerHost:       64,
			IdleConnTimeout:       4 * time.Second,
		},
	}
}

// stay follows no redirection: net/http would carry the token to any host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// tlsConfig is a copy: a transport changes the one it is given.
func (a *Account) tlsConfig() *tls.Config {
	if a == nil {
		return nil
	}
	return a.options.TLS.config.Clone()
}
