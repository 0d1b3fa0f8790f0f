package nova

import (
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type keypair struct {
	id                                    int
	user, name, kind, public, fingerprint string
	created                               time.Time
}

func (s *Server) keypair(user, name string) *keypair {
	for _, k := range s.keypairs {
		if k.user == user && k.name == name {
			return k
		}
	}
	return nil
}

// owner is the user whose key pairs are meant: admins may name one since 2.10.
func owner(r *rest.Request) string {
	if u := r.Query("user_id"); u != "" && r.Minor >= 10 && r.Caller.Admin() {
		return u
	}
	return r.Caller.UserID
}

func keypairDoc(r *rest.Request, k *keypair) rest.Doc {
	d := rest.Doc{"name": k.name, "public_key": k.public, "fingerprint": k.fingerprint}
	if r.Minor >= 2 {
		d["type"] = k.kind
	}
	return d
}

func (s *Server) findKeypair(r *rest.Request) (*keypair, error) {
	k := s.keypair(owner(r), r.Param("name"))
	if k == nil {
		return nil, fail(http.StatusNotFound, "Keypair %s not found for user %s", r.Param("name"), owner(r))
	}
	return k, nil
}

func (s *Server) listKeypairs(r *rest.Request) (*rest.Reply, error) {
	found := []*keypair{}
	for _, k := range s.keypairs {
		if k.user == owner(r) {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, func(a, b *keypair) int { return cmp.Compare(a.name, b.name) })
	out := []rest.Doc{}
	for _, k := range found {
		out = append(out, rest.Doc{"keypair": keypairDoc(r, k)})
	}
	return rest.OK(rest.Doc{"keypairs": out})
}

// fingerprint reads an OpenSSH public key; false when it is none.
func fingerprint(public string) (string, bool) {
	parts := strings.Fields(public)
	if len(parts) < 2 || (!strings.HasPrefix(parts[0], "ssh-") && !strings.HasPrefix(parts[0], "ecdsa-")) {
		return "", false
	}
	raw, err := base64.StdEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	sum := md5.Sum(raw)
	out := []string{}
	for _, b := range sum {
		out = append(out, fmt.Sprintf("%02x", b))
	}
	return strings.Join(out, ":"), true
}

// generated stands in for a key pair that Nova would make: nobody logs in with
// it.
const (
	generatedPublic  = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC3 Generated-by-Nova"
	generatedPrivate = "-----BEGIN RSA PRIVATE KEY-----\nsimulated\n-----END RSA PRIVATE KEY-----\n"
)

func (s *Server) createKeypair(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "keypair")
	if err != nil {
		return nil, err
	}
	name := rest.Str(in, "name")
	if name == "" {
		return nil, field("keypair", in, "'name' is a required property")
	}
	public, private := rest.Str(in, "public_key"), ""
	if public == "" {
		if r.Minor >= 92 {
			return nil, field("keypair", in, "'public_key' is a required property")
		}
		public, private = generatedPublic, generatedPrivate
	}
	print, ok := fingerprint(public)
	if !ok && private == "" {
		return nil, badRequest("Keypair data is invalid: failed to generate fingerprint")
	}
	if s.keypair(r.Caller.UserID, name) != nil {
		return nil, fail(http.StatusConflict, "Key pair '%s' already exists.", name)
	}
	s.sequence++
	k := &keypair{id: s.sequence, user: r.Caller.UserID, name: name, kind: "ssh", public: public, fingerprint: print, created: s.Now()}
	if kind := rest.Str(in, "type"); kind != "" {
		k.kind = kind
	}
	s.keypairs = append(s.keypairs, k)
	d := keypairDoc(r, k)
	d["user_id"] = k.user
	if private != "" {
		d["private_key"] = private
	}
	if r.Minor >= 2 {
		return rest.Created(rest.Doc{"keypair": d})
	}
	return rest.OK(rest.Doc{"keypair": d})
}

func (s *Server) showKeypair(r *rest.Request) (*rest.Reply, error) {
	k, err := s.findKeypair(r)
	if err != nil {
		return nil, err
	}
	d := keypairDoc(r, k)
	d["user_id"], d["created_at"], d["deleted"], d["deleted_at"], d["id"], d["updated_at"] = k.user, micros(k.created), false, nil, k.id, nil
	return rest.OK(rest.Doc{"keypair": d})
}

func (s *Server) deleteKeypair(r *rest.Request) (*rest.Reply, error) {
	k, err := s.findKeypair(r)
	if err != nil {
		return nil, err
	}
	s.keypairs = slices.DeleteFunc(s.keypairs, func(o *keypair) bool { return o == k })
	if r.Minor >= 2 {
		return rest.NoContent()
	}
	return &rest.Reply{Status: http.StatusAccepted}, nil
}
